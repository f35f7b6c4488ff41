"""A folder that long work fills: held by one process at a time, and begun, resumed or refused by what is in it.

Each kind of work describes itself in a JSON object that is written first: ``format``, what was typed (``command``),
what the results depend on, and ``versions``. Files come whole: what ends in ``.part`` is what a kill left of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from idn_gym import plugins
from idn_gym.common.files import read_json
from idn_gym.errors import IdnError

try:
    import fcntl
except ImportError:  # Windows has no locks on folders
    fcntl = None  # type: ignore[assignment]

_PACKAGES = (
    *("idn-gym", "gymnasium", "numpy", "scipy", "numba", "llvmlite", "networkx", "pydantic", "PyYAML", "highspy"),
    *("torch", "triton", "stable-baselines3", "sb3-contrib"),
)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if it is not there, so that nobody else who asks for it gets it meanwhile.

    The lock ends with its process, and leaves no file. Where the system has no locks on folders, as on Windows and
    network file systems, nobody is refused.

    Raises
    ------
    IdnError
        If somebody else holds it, or it is a file.
    """
    refuse_file(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    # the lock is the open folder's: the kernel drops it with the process, and programs that it starts do not get it
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IdnError(
                f"{folder}: another process is at work there; wait until it has ended, or give another folder"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def refuse_file(folder: Path) -> None:
    """Raise an `IdnError` if what should be a folder, or become one, is a file."""
    if folder.exists() and not folder.is_dir():
        raise IdnError(f"{folder}: is a file; --output takes a folder")


def resumed(description: Path, resume: bool, work: str) -> bool:
    """Whether work goes on in the folder of a description; else it begins there.

    Parameters
    ----------
    work : what it is called in the error message.

    Raises
    ------
    IdnError
        If it would begin in a folder that holds files.
    """
    folder = description.parent
    if not resume and folder.exists() and any(path.suffix != ".part" for path in folder.iterdir()):
        raise IdnError(f"{folder}: not empty; give --resume to go on with the {work} there, or another folder")
    return resume and description.exists()


def described(form: str, command: Sequence[str], about: dict[str, Any], agents: Iterable[str] = ()) -> dict[str, Any]:
    """The description of work that begins, with the versions that these agents, by name, and all else are of."""
    return {"format": form, "command": list(command), **about, "versions": versions(agents)}


def read_description(path: Path, form: str) -> dict[str, Any]:
    """The description in a folder to resume; an `IdnError` if it is of another format."""
    kept = read_json(path)
    if kept.get("format") != form:
        raise IdnError(f"{path}: format {str(kept.get('format'))[:60]!r}; must be {form!r}")
    return kept


def versions(agents: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python and of the packages that a result may depend on, those that registered the agents included."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | plugins.versions(agents)


def other_versions(kept: dict[str, Any], here: dict[str, str]) -> list[str]:
    """The packages of which the versions kept in a description are not those here."""
    return [package for package in {**here, **kept} if kept.get(package) != here.get(package)]


def refuse_other_versions(path: Path, kept: Any, here: dict[str, str]) -> None:
    """Raise an `IdnError` unless the versions kept in a file are the ones here: results of others are not mixed."""
    if not isinstance(kept, dict):
        raise IdnError(f"{path}: versions: {str(kept)[:60]}; not what a run writes")
    if other := other_versions(kept, here):
        differing = f"{other[0]} {str(kept.get(other[0], 'none'))[:40]} there and {here.get(other[0], 'none')} here"
        more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
        raise IdnError(f"{path}: written by other versions, which are not mixed: {differing}{more}")


def folder_name(text: str, about: Any) -> str:
    """A name for a folder: a slug of a text, and a short hash of JSON values that tell it from others."""
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", text)[:60].strip("-.")
    return f"{slug}-{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]}"
