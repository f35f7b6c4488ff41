"""The one exception for what a user got wrong."""


class IdnError(ValueError):
    """Bad input: names the value, where it came from and what is allowed, in one line.

    The command line prints the message on stderr and exits with status 2.
    """
