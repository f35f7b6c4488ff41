"""The command line ``idn-gym``."""

from idn_gym.cli.program import app, main

__all__ = ["app", "main"]
