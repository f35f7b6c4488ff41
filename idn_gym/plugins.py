"""Agents and commands that other packages bring, found through entry points alone."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from typing import Any

from idn_gym.errors import IdnError

AGENTS = "idn_gym.agents"
COMMANDS = "idn_gym.commands"


def names(group: str) -> list[str]:
    """What is registered under an entry-point group, sorted."""
    return sorted({entry.name for entry in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """The object registered under that name.

    Raises
    ------
    IdnError
        If there is none, or it cannot be imported.
    """
    found = [entry for entry in entry_points(group=group) if entry.name == name]
    if not found:
        kind = group.rpartition(".")[2].removesuffix("s")
        raise IdnError(f"no {kind} {name!r}; registered: {', '.join(names(group)) or 'none'}")
    try:
        return found[0].load()
    except (ImportError, AttributeError) as error:
        raise IdnError(f"{name}: cannot be loaded from {found[0].value}: {error}") from error


def make_agent(name: str, parameters: dict[str, Any]) -> Any:
    """A registered agent, constructed with these keywords.

    Raises
    ------
    IdnError
        If there is no such agent, or it takes no such keyword or not that value.
    """
    factory = load(AGENTS, name)
    allowed = [key for key in inspect.signature(factory).parameters if key not in ("args", "kwargs")]
    for key in parameters:
        if key not in allowed:
            raise IdnError(f"agent {name}: unknown parameter {key!r}; allowed: {', '.join(allowed) or 'none'}")
    try:
        return factory(**parameters)
    except IdnError as error:
        raise IdnError(f"agent {name}: {error}") from None
