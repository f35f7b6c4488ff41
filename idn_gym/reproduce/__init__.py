"""The paper's figures, the sensitivity study, and when INFIDA wins: a sweep, a picture, and claims as checks each.

No numeric value of the paper is known here: shapes and orderings are reproduced, not numbers. Every module of a figure
has ``TITLE``, ``BUDGETS``, ``cells(budget)``, ``claims(runs)`` and ``draw(runs)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

FIGURES = ("fig2", "fig3", "fig4", "fig5", "fig6", "fig7", "sensitivity")


def figure(name: str) -> Any:
    """The module of a figure."""
    return import_module(f"idn_gym.reproduce.{name}")
