"""Files: text read within limits, strict JSON and the keys in it, and writing that leaves a whole file or none.

What a kind of file holds is for the room that knows its format.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO

from idn_gym.common.text import did_you_mean, line, printable, shown
from idn_gym.errors import IdnError

_MAX_BYTES = 64 * 2**20
_MAX_LINE = 2**20  # bytes, where lines are read one by one
_SHORT = 2**16  # bytes of a file that is collected
_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')  # strings come first: what they hold is no number


def read_text(path: Path, max_bytes: int = _MAX_BYTES) -> str:
    """The UTF-8 text of a regular file of at most max_bytes, or an `IdnError` that says why not."""
    content = read_beginning(path, max_bytes + 1)
    if len(content) > max_bytes:
        raise IdnError(f"{path}: larger than {max_bytes >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IdnError(f"{path}: not UTF-8 text (byte {error.start})") from None


def read_lines(path: Path) -> Iterator[str]:
    """The lines of `read_text`, one in memory at a time; errors come where they are reached."""
    with _reading(path) as file:
        at = 0
        for n, content in enumerate(iter(partial(file.readline, _MAX_LINE + 1), b"")):
            if len(content) > _MAX_LINE:
                raise IdnError(f"{path}:{n + 1}: a line of more than {_MAX_LINE >> 20} MiB")
            try:
                yield (content.removeprefix(codecs.BOM_UTF8) if n == 0 else content).decode()
            except UnicodeDecodeError as error:
                raise IdnError(f"{path}: not UTF-8 text (byte {at + error.start})") from None
            at += len(content)


def read_beginning(path: Path, most: int) -> bytes:
    """The first bytes of a regular file, or an `IdnError` that says why not."""
    with _reading(path) as file:
        return file.read(most)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """A regular file, or an `IdnError` that says why it cannot be read."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise IdnError(f"{path}: cannot be read: is a pipe or device, no regular file")
            yield file
    except FileNotFoundError as error:
        raise IdnError(f"{path}: cannot be read: {error.strerror}{_beside(path)}") from None
    except OSError as error:
        raise IdnError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        if isinstance(error, IdnError):
            raise
        raise IdnError(f"{path}: cannot be read: no path: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file that a run, a sweep or a training left."""
    values = parse_json(read_text(path), str(path))
    if not isinstance(values, dict):
        raise IdnError(f"{path}: {str(values)[:60]}; not what a run writes")
    return values


def parse_json(text: str, source: str) -> Any:
    """Strict JSON: no duplicate keys, no NaN or Infinity."""
    refused: list[_NoNumber] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise IdnError(f"{source}: key {shown(key)} twice; each key is allowed once")
            values[key] = value
        return values

    def refuse(constant: str) -> _NoNumber:
        refused.append(_NoNumber(constant))
        return refused[-1]

    try:
        values = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise IdnError(f"{source}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise IdnError(f"{source}: nested too deeply") from None
    except IdnError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise IdnError(f"{source}: {str(error).splitlines()[0]}") from None
    if refused:
        key = dotted(_place(values, refused[0]), values)
        line = 1 + text.count("\n", 0, next(found for found in _NO_NUMBER.finditer(text) if found[1]).start())
        says = f"{refused[0].text} is not a number; allowed: finite numbers"
        raise IdnError(f"{source}: {f'{key}: ' if key else ''}{says} (line {line})")
    return values


def dotted(location: Sequence[int | str], data: Any) -> str:
    """The key as an override would name it: ``nodes.bs0.budget``, by name where an item has one."""
    parts: list[str] = []
    for step in location:
        if isinstance(step, int) and not isinstance(data, dict):
            data = data[step] if isinstance(data, list | tuple) and step < len(data) else None
            name = data.get("name") if isinstance(data, dict) else None
            parts.append(name if isinstance(name, str) else str(step))
        elif isinstance(data, dict) and step in data:
            data = data[step]
            parts.append(str(step))
        elif step == "[key]":  # pydantic's word for the key itself, which stands before it
            break
        elif not (isinstance(data, dict) and data.get("kind") == step):  # a union's tag is not a key
            data = None
            parts.append(str(step))
    # a name with a line break would make two lines of the message
    return line(".".join(part if part == printable(part) else shown(part) for part in parts), 80)


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole and on the disk."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say where
        raise


@contextmanager
def collecting(path: Path, folder: Path) -> Iterator[IO[bytes]]:
    """What is to become a file, in memory while it is short, then on the disk of a folder that is there already.

    There it has no name: once it is closed, or whoever writes it is killed, nothing of it is left.
    """
    try:
        with tempfile.SpooledTemporaryFile(_SHORT, dir=str(folder)) as file:
            yield file
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


class Digested:
    """A file that text is written to, and the SHA-256 digest of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def write(self, text: str) -> None:
        """Write a piece of the text."""
        content = text.encode()
        self._file.write(content)
        self._hash.update(content)

    @property
    def digest(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()


def write_text(path: Path, text: str) -> str:
    """Write a text file atomically; returns its digest."""
    return write_pieces(path, [text])


def write_pieces(path: Path, pieces: Iterable[str]) -> str:
    """As `write_text`, of a text that comes in pieces."""
    with atomic(path) as file:
        written = Digested(file)
        for piece in pieces:
            written.write(piece)
    return written.digest


def _beside(missing: Path) -> str:
    """Which file may be meant by one that is missing."""
    try:
        meant = did_you_mean(missing.name, sorted(os.listdir(missing.parent)))
    except OSError:
        return ""
    return f"; {meant.strip()}" if meant else ""


def _open_at_once(path: str, flags: int) -> int:
    """Opening a pipe would wait for somebody to write to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class _NoNumber:
    """What stands for NaN or Infinity until its key is known."""

    def __init__(self, text: str) -> None:
        self.text = text


def _place(values: Any, wanted: Any) -> tuple[int | str, ...]:
    """The keys and indices that lead to an object among JSON values."""
    waiting: list[tuple[tuple[int | str, ...], Any]] = [((), values)]
    while waiting:
        place, value = waiting.pop()
        if value is wanted:
            return place
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*place, key), item) for key, item in items if isinstance(item, dict | list) or item is wanted]
    raise KeyError(wanted)
