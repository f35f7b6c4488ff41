"""The console that everything for people is printed on."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from idn_gym.common.text import printable_lines

_PAGE = 140  # characters of a line where nothing says how wide it may be


class Screen(Console):
    """A console for which text is text: no markup, no names of emoji, nothing that a terminal acts on.

    Parameters
    ----------
    endless : what is printed goes to a file or a program, which lines of any length suit better than what is left out.
    """

    def __init__(self, *, endless: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.endless = endless

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable_lines(text), **options | {"markup": False, "emoji": False})

    def print(self, *objects: Any, **options: Any) -> None:
        """As a `Console` does, but what is wider than the terminal is not cut off."""
        super().print(*objects, **{"crop": False} | options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(stderr: bool = False) -> Screen:
    """A console as wide as the terminal, or as COLUMNS says; elsewhere it leaves nothing out for want of room."""
    file = sys.stderr if stderr else sys.stdout  # by itself: while bars are drawn, sys has a stand-in for it
    terminal = file.isatty()
    endless = not terminal and "COLUMNS" not in os.environ
    how: dict[str, Any] = {"width": _PAGE} if endless else {}
    return Screen(endless=endless, file=file, highlight=False, markup=False, emoji=False, **how)
