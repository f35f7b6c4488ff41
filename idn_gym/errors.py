"""The one exception for what a user got wrong."""

from __future__ import annotations

from idn_gym.common.text import line


class IdnError(ValueError):
    """Bad input: names the value, where it came from and what is allowed, in one line of at most 280 characters.

    The command line prints the message on stderr and exits with status 2.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(line(message))
