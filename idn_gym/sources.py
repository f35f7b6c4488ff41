"""Code of one's own, found by text: ``FILE.py:Class`` or ``package.module:Class``, without packaging.

Loading runs the code, as importing does; reading the text, and the digest of the file, does not.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import inspect
import os
import re
import sys
import sysconfig
import traceback
from dataclasses import dataclass
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from idn_gym.common.files import read_text
from idn_gym.common.text import listed, shown
from idn_gym.errors import IdnError

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_OWN = re.compile(rf"(.+?\.py|{_DOTTED}):({_DOTTED})(?=:|$)", re.DOTALL)
_PARAMETERS = re.compile(r"[^:/\\]*:[^\W\d]\w*=")  # of a plain name: what its values hold is no class
_NOT_THEIRS = (str(Path(__file__).parent), *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")))


def split(text: str) -> tuple[str, str]:
    """The name that a text begins with, of something registered or of code of one's own, and its parameters."""
    found = None if _PARAMETERS.match(text) else _OWN.match(text)
    if found:
        return found[0], text[found.end() + 1 :]
    name, _, parameters = text.partition(":")
    return name, parameters


@dataclass(frozen=True)
class Source:
    """Where a class, or a function that makes something, is: in a file or a module that can be imported."""

    module: str  # the path of a file, from the current directory where it is relative; or a dotted name
    name: str  # in it; dotted where it is inside a class

    @classmethod
    def of(cls, text: str) -> Source | None:
        """The place that a text names; None if it is the name of something registered."""
        found = _OWN.fullmatch(text)
        return cls(found[1], found[2]) if found else None

    @property
    def is_file(self) -> bool:
        """Whether it is a path, not the name of a module."""
        return self.module.endswith(".py")

    def load(self) -> Any:
        """What is there.

        Raises
        ------
        IdnError
            If there is no such file, module or name, or its code fails; with the line where it does.
        """
        module = _module_of_file(Path(self.module).expanduser()) if self.is_file else _module(self.module)
        try:
            return reduce(getattr, self.name.split("."), module)
        except AttributeError:
            there = [name for name, value in vars(module).items() if _may_be_meant(name, value, module)]
            raise IdnError(f"{self.module}: no {self.name!r} in it{_instead(self.name, there)}") from None

    def digest(self) -> str:
        """Short SHA-256 of the file that it is in; empty if there is none."""
        try:
            file = self.module if self.is_file else getattr(find_spec(self.module), "origin", None)
            return "sha256 " + hashlib.sha256(read_text(Path(str(file)).expanduser()).encode()).hexdigest()[:16]
        except (ImportError, ValueError):  # an `IdnError` is one
            return ""


def refuse_without_name(text: str) -> None:
    """Raise where a text ends with a Python file: it says what may be meant in it, without running it."""
    if not text.rstrip(":").endswith(".py"):
        return
    path = Path(text.rstrip(":")).expanduser()
    try:
        there = [node.name for node in ast.parse(read_text(path)).body if isinstance(node, ast.ClassDef)]
    except (SyntaxError, ValueError):  # loading it says what is wrong
        there = []
    raise IdnError(f"{shown(text)}: a file; must be FILE.py:Class{_instead('', there)}")


def fault(error: BaseException) -> str:
    """What went wrong in code of somebody's, in a line, with the file and line of theirs where it did."""
    says = " ".join(str(getattr(error, "msg", None) or error).split())
    if not isinstance(error, IdnError):
        says = type(error).__name__ + (f": {says}" if says else "")
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    theirs = [frame for frame in frames if not frame[0].startswith((*_NOT_THEIRS, "<"))]
    return says + (f" ({_from_here(theirs[-1][0])}:{theirs[-1][1]})" if theirs else "")


def constructed(who: str, factory: Any, parameters: dict[str, Any]) -> Any:
    """What a class or function makes of these keywords.

    Parameters
    ----------
    who : what is made, for error messages.

    Raises
    ------
    IdnError
        If it takes no such keyword or not that value, needs one that is not given, or fails.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        raise IdnError(f"{who}: {type(factory).__name__} is nothing that can be called") from None
    allowed = [key for key in signature.parameters if key not in ("args", "kwargs")]
    for key in parameters:
        if key not in allowed:
            raise IdnError(f"{who}: unknown parameter {key!r}; allowed: {', '.join(allowed) or 'none'}")
    try:
        signature.bind(**parameters)
    except TypeError as error:
        raise IdnError(f"{who}: {error}; parameters: {', '.join(allowed)}") from None
    try:
        return factory(**parameters)
    except IdnError as error:
        raise IdnError(f"{who}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:
        raise IdnError(f"{who}: cannot be made: {fault(error)}") from error


def refuse_without_methods(who: str, thing: Any, methods: tuple[str, ...]) -> None:
    """Raise an `IdnError` that names the first method that something lacks."""
    for method in methods:
        if not callable(getattr(thing, method, None)):
            raise IdnError(f"{who}: {type(thing).__name__} has no method {method}; needed: {', '.join(methods)}")


def _module_of_file(path: Path) -> ModuleType:
    """The module that a file is: loaded once for its content; what it imports may lie beside it."""
    text = read_text(path)
    path = path.resolve()
    digest = hashlib.sha256(f"{path}\0{text}".encode()).hexdigest()[:12]
    name = re.sub(r"\W", "_", path.stem) + f"_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    _find_in(path.parent)
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # before it runs: dataclasses look there
    try:
        exec(compile(text, str(path), "exec"), vars(module))
    except BaseException as error:
        del sys.modules[name]
        _raise_as_line(error)
    return module


def _module(name: str) -> ModuleType:
    _find_in(Path.cwd())
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise IdnError(f"no module {error.name!r}, neither installed nor in {Path.cwd()}") from None
        _raise_as_line(error)


def _raise_as_line(error: BaseException) -> NoReturn:
    """Whatever running somebody's code raised, SystemExit too, as an `IdnError`."""
    if isinstance(error, KeyboardInterrupt | MemoryError):
        raise error
    raise IdnError(fault(error)) from error


def _find_in(folder: Path) -> None:
    """Modules of a folder can be imported from now on; behind all others, so that it hides none."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _may_be_meant(name: str, value: Any, module: ModuleType) -> bool:
    return not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__


def _instead(name: str, there: list[str]) -> str:
    close = difflib.get_close_matches(name, there, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there: {listed(there)}" if there else ""


def _from_here(file: str) -> str:
    """A path as it is written from the current directory, where it is inside."""
    return os.path.relpath(file) if Path(file).is_relative_to(Path.cwd()) else file
