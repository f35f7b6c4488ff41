"""The one exception for what a user got wrong."""

from __future__ import annotations

from collections.abc import Sequence

from idn_gym.common.text import line


class IdnError(ValueError):
    """Bad input: names the value, where it came from and what is allowed, in one line of at most 280 characters.

    The command line prints the message on stderr and exits with status 2.

    Parameters
    ----------
    faults : all that is wrong, where more is known than the message says.
    """

    def __init__(self, message: object = "", faults: Sequence[str] = ()) -> None:
        super().__init__(line(message))
        self.faults = tuple(line(fault) for fault in faults)
