"""Standard output for documents alone: what libraries print meanwhile, from Python or C, goes to standard error."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar

_held: ContextVar[list[str] | None] = ContextVar("_held", default=None)  # documents of the block that is running


@contextlib.contextmanager
def only_documents() -> Iterator[None]:
    """Until the block ends, nothing reaches standard output; then what `write` was given does.

    The rest goes to standard error: Python's prints, those of compiled libraries and of child processes. The process's
    own standard output is closed to what libraries print at the end of the process, too.
    """
    out = sys.stdout
    if out is None:  # the process was started without
        yield
        return
    own = getattr(out, "rich_proxied_file", out) is sys.__stdout__  # as it is, or made `terminal.Printable`
    documents: list[str] = []
    token = _held.set(documents)
    kept = _to_stderr()
    try:
        yield
    finally:
        _held.reset(token)
        sys.stdout = out
        if kept is not None:
            os.dup2(kept, 1)
        if own:
            atexit.register(_to_stderr)  # the last to be registered is the first to run
        with contextlib.ExitStack() as stack:
            copy = stack.enter_context(open(kept, "w", encoding="utf-8")) if kept is not None else None
            # a write that fails should not leave its rest in the buffer of a stream that goes elsewhere at the end
            target = copy if own and copy is not None else out
            target.write("".join(documents))
            target.flush()


def write(document: str) -> None:
    """Write a document, its last line ended, to standard output: now, or when the block of `only_documents` ends."""
    documents = _held.get()
    if documents is not None:
        documents.append(document)
    elif sys.stdout is not None:
        sys.stdout.write(document)


def _to_stderr() -> int | None:
    """Let standard output be standard error, for Python and for file descriptor 1; a copy of that, if it was open."""
    if sys.stdout is not None:
        sys.stdout.flush()
    sys.stdout = sys.stderr or io.StringIO()
    try:
        kept = os.dup(1)
    except OSError:
        return None
    try:
        os.dup2(2, 1)
    except OSError:  # no standard error either
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    return kept
