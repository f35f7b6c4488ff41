"""The process that runs ``idn-gym``: what it prints is UTF-8 and printable, whoever reads it, and Ctrl-C is a sentence.

What happens before the imports are through is in `startup`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from idn_gym.common.startup import leave
from idn_gym.common.text import line, printable_lines


class Interrupted(BaseException):
    """Ctrl-C, where a library would make something of a KeyboardInterrupt."""


class Unread(BaseException):
    """Whoever read what is printed has gone."""


class Printable:
    """A text stream that passes on what is printable, and escapes the rest.

    Parameters
    ----------
    best_effort : a reader that has gone, or a full disk, is no reason to stop.
    """

    def __init__(self, stream: Any, best_effort: bool) -> None:
        self.rich_proxied_file = stream  # Rich, whose colours are no user's, writes to the stream itself
        self._best_effort = best_effort

    def write(self, text: str) -> int:
        """Write the text; its length."""
        try:
            self.rich_proxied_file.write(printable_lines(text))
        except OSError:
            if not self._best_effort:
                raise
            discard(self)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        try:
            self.rich_proxied_file.flush()
        except OSError:
            if not self._best_effort:
                raise
            discard(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def printable_streams() -> Iterator[None]:
    """Stdout and stderr in UTF-8 whatever the locale, and `Printable`; a warning is one line."""
    _open_missing()
    kept, show = (sys.stdout, sys.stderr), warnings.showwarning
    for stream in kept:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.stdout, sys.stderr = Printable(kept[0], False), Printable(kept[1], True)
    warnings.showwarning = lambda message, *where: complain(f"warning: {message}")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept
        warnings.showwarning = show


@contextmanager
def interruptible() -> Iterator[None]:
    """From here on, Ctrl-C is a KeyboardInterrupt again, so that what has been begun is left in order."""
    if signal.getsignal(signal.SIGINT) is not leave:
        yield
        return
    kept, sys.unraisablehook = sys.unraisablehook, _interrupt_again
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to do, and nothing to say
        sys.unraisablehook = kept


def complain(message: object) -> None:
    """One line on stderr, in the name of the program."""
    print(f"idn-gym: {line(message)}", file=sys.stderr)


def fail(message: object, status: int) -> NoReturn:
    """Say what is wrong and exit."""
    complain(message)
    sys.exit(status)


def interrupted(error: BaseException) -> bool:
    """Whether it comes of Ctrl-C: an import that is interrupted may end in an error of its own."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        here = waiting.pop()
        if here is None or id(here) in seen:
            continue
        if isinstance(here, KeyboardInterrupt | Interrupted):
            return True
        seen.add(id(here))
        waiting += [here.__cause__, here.__context__]
    return False


def discard(stream: Any) -> None:
    """Let a stream that cannot be written to lead nowhere, also when the interpreter flushes it at its end."""
    with suppress(OSError, ValueError, AttributeError):  # a stream without a file, or a closed one
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _interrupt_again(unraisable: Any) -> None:
    """A KeyboardInterrupt inside a callback, as imports use, is printed and lost: raise it again, a little later."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        threading.Timer(0.01, signal.raise_signal, [signal.SIGINT]).start()
    else:
        sys.__unraisablehook__(unraisable)


def _open_missing() -> None:
    """Where the caller has closed stdin, stdout or stderr, the next file to be opened would take its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        null = os.open(os.devnull, os.O_RDWR)
        if null == number:
            os.set_inheritable(null, True)
        else:
            os.close(null)
        # kept open with the process, as the stream that it stands for would have been
        setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
