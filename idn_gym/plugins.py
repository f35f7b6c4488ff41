"""Agents and commands that other packages bring, found through entry points alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from idn_gym.common.text import shown
from idn_gym.errors import IdnError

AGENTS = "idn_gym.agents"
COMMANDS = "idn_gym.commands"
_LONGEST = 200  # bytes of a name; file systems take 255


def names(group: str) -> list[str]:
    """What is registered under an entry-point group and may be, sorted."""
    return sorted({entry.name for entry in entry_points(group=group) if _is_name(entry.name)})


def load(group: str, name: str) -> Any:
    """The object registered under that name.

    Raises
    ------
    IdnError
        If there is none or more than one, its name cannot name a folder, or importing it fails, however it does.
    """
    found = _registered(group, name)
    kind = _kind(group)
    if not found:
        raise IdnError(f"no {kind} {name!r}; registered: {', '.join(names(group)) or 'none'}")
    if not _is_name(name):
        raise IdnError(
            f"{kind} {shown(name)} of package {_package(found[0])}: it names a folder; allowed: printable text of at "
            f"most {_LONGEST} bytes, without slashes and backslashes, and not . or .."
        )
    if len(found) > 1:
        places = " and ".join(f"{_package(entry)} ({entry.value})" for entry in found)
        raise IdnError(f"{kind} {name!r}: registered twice, by {places}; uninstall one of the packages")
    try:
        return found[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a module of somebody else's may raise anything
        says = " ".join(str(error).split())
        fault = says if isinstance(error, IdnError) else f"{type(error).__name__}{': ' * bool(says)}{says}"
        raise IdnError(
            f"{name}: cannot be loaded from {found[0].value} of package {_package(found[0])}: {fault}"
        ) from error


def commands(taken: Collection[str], add: Callable[[str, Any], None], refused: Callable[[str], None]) -> None:
    """Load every registered command; another package's fault does not take the other commands along.

    Parameters
    ----------
    taken : names that no package may register.
    add : called with the name and function of each; may raise what it likes if it cannot make a command of it.
    refused : called with a line about each that is not added.
    """
    for name in sorted({entry.name for entry in entry_points(group=COMMANDS)}):
        try:
            if name in taken:
                packages = " and ".join(_package(entry) for entry in _registered(COMMANDS, name))
                raise IdnError(f"command {name!r} of package {packages}: idn-gym has a command of that name")
            command = load(COMMANDS, name)
            try:
                add(name, command)
            except Exception as error:
                packages = _package(_registered(COMMANDS, name)[0])
                raise IdnError(f"command {name!r} of package {packages}: cannot be a command: {error}") from error
        except IdnError as error:
            refused(str(error))


def versions(agents: Iterable[str]) -> dict[str, str]:
    """Package -> version, of those that registered these agents."""
    found = {entry.name: entry.dist for entry in entry_points(group=AGENTS)}
    packages = [found[name] for name in agents if name in found]
    return {package.name: package.version for package in packages if package is not None}


def make_agent(name: str, parameters: dict[str, Any]) -> Any:
    """A registered agent, constructed with these keywords.

    Raises
    ------
    IdnError
        If there is no such agent, or it takes no such keyword or not that value, or needs one that is not given.
    """
    factory = load(AGENTS, name)
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        raise IdnError(f"agent {name}: {type(factory).__name__} is nothing that can be called") from None
    allowed = [key for key in signature.parameters if key not in ("args", "kwargs")]
    for key in parameters:
        if key not in allowed:
            raise IdnError(f"agent {name}: unknown parameter {key!r}; allowed: {', '.join(allowed) or 'none'}")
    try:
        signature.bind(**parameters)
    except TypeError as error:
        raise IdnError(f"agent {name}: {error}; parameters: {', '.join(allowed)}") from None
    try:
        return factory(**parameters)
    except IdnError as error:
        raise IdnError(f"agent {name}: {error}") from None


def _registered(group: str, name: str) -> list[EntryPoint]:
    return [entry for entry in entry_points(group=group) if entry.name == name]


def _kind(group: str) -> str:
    return group.rpartition(".")[2].removesuffix("s")


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "unknown"


def _is_name(name: str) -> bool:
    """Whether it can name one folder and prints as it is."""
    return name.isprintable() and len(name.encode()) <= _LONGEST and not re.search(r"^\.{0,2}$|[/\\]", name)
