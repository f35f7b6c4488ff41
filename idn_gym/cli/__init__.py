"""The command line ``idn-gym``."""

from idn_gym.cli.commands import app, main

__all__ = ["app", "main"]
