"""The console that everything for people is printed on."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from idn_gym.common.text import printable_lines


class _Plain(Console):
    """A console for which text is text: no markup, no names of emoji, nothing that a terminal acts on."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable_lines(text), **options | {"markup": False, "emoji": False})

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(stderr: bool = False) -> Console:
    """A console that does not cut tables short when its output goes to a file."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return _Plain(stderr=stderr, width=None if terminal else 140, highlight=False, markup=False, emoji=False)
