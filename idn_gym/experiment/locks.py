"""One process at a time in a folder: a lock that ends with its process, and leaves no file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from idn_gym.errors import IdnError

try:
    import fcntl
except ImportError:  # Windows has no locks on folders
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if it is not there, so that nobody else who asks for it gets it meanwhile.

    Where the system has no locks on folders, as on Windows and network file systems, nobody is refused.

    Raises
    ------
    IdnError
        If somebody else holds it, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise IdnError(f"{folder}: is a file; --output takes a folder")
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
