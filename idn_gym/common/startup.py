"""The first moment of a process that runs ``idn-gym``: Ctrl-C is a sentence while the imports go on, and no traceback.

Imported before all else, and with as little as can be: what comes before it is not covered.
"""

from __future__ import annotations

import os
import signal
import sys

INTERRUPTED = 128 + 2  # the exit status that shells give to what SIGINT ends
_RESUMABLE = ("run", "sweep", "train", "reproduce")  # commands whose --output --resume goes on with


def leave(number: int, frame: object) -> None:
    """Handle an interrupt before anything has been begun, and without unwinding imports, some of which lose it."""
    try:
        os.write(2, f"idn-gym: {how_to_go_on(sys.argv[1:])}\n".encode())
    finally:
        os._exit(INTERRUPTED)


def how_to_go_on(words: list[str]) -> str:
    """What to say after Ctrl-C, for the arguments of the command."""
    keeps = any(word.partition("=")[0] == "--output" for word in words)
    if not (words and words[0] in _RESUMABLE):
        return "interrupted"
    if not keeps:
        return "interrupted; nothing was kept"
    again = "" if "--resume" in words else " with --resume"
    return f"interrupted; the same command{again} goes on from what --output holds"


def is_program() -> bool:
    """Whether this process runs the command line, and not a program that imports the library."""
    name = sys.argv[0] if getattr(sys, "argv", None) else ""
    base = os.path.basename(name)
    return base in ("idn-gym", "idn-gym.exe") or (base == "-m" and "idn_gym.cli" in sys.orig_argv)


if is_program():  # its streams escape colours, and numba with colorama would leave one behind at the end
    os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")

if is_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave)  # else whoever started us wants it ignored
