"""The paper's figures, the sensitivity study, and when INFIDA wins: a sweep, a picture, and claims as checks each.

No numeric value of the paper is known here: shapes and orderings are reproduced, not numbers. Every module of a figure
has ``TITLE``, ``BUDGETS``, ``cells(budget)``, ``claims(runs)`` and ``draw(runs)``; one without cells is no sweep, and
has ``run(folder)``, which leaves a ``table.csv`` there. Packages bring theirs under the entry-point group
`plugins.FIGURES`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from idn_gym import plugins

FIGURES = ("fig2", "fig3", "fig4", "fig5", "fig6", "fig7", "sensitivity", "phase")


def figures() -> list[str]:
    """The names of all figures, the paper's first."""
    return [*FIGURES, *(name for name in plugins.names(plugins.FIGURES) if name not in FIGURES)]


def figure(name: str) -> Any:
    """The module of a figure."""
    return import_module(f"idn_gym.reproduce.{name}") if name in FIGURES else plugins.load(plugins.FIGURES, name)
