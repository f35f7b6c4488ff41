"""Arguments of environments in every form that users give them in: checked, resolved, and as JSON values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from idn_gym.common import parameters
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.scenario import Scenario
from idn_gym.scenario.file import from_values
from idn_gym.scenario.overrides import pairs

Overrides = Mapping[str, Any] | Sequence[str]


def resolve(
    scenario: str | os.PathLike[str] | Mapping[str, Any] | Scenario | None, *overrides: Overrides | None
) -> Scenario:
    """The scenario that a name, an id, a path, the content of a file as a mapping, or a `Scenario` stands for.

    Parameters
    ----------
    overrides : sets of changes, one after the other.

    Raises
    ------
    IdnError
        If it is none of these, or what it stands for, with its overrides, is not valid.
    """
    changes: dict[str, Any] = {}
    for some in overrides:
        new = changes_of("overrides", some)
        changes = {key: value for key, value in changes.items() if key not in new} | new
    if isinstance(scenario, Scenario):
        return from_values(scenario.to_dict(), scenario.name, changes) if changes else scenario
    if isinstance(scenario, Mapping):
        return from_values(json_values("scenario", scenario), "scenario", changes)
    if not isinstance(scenario, str | os.PathLike):
        allowed = "a packaged name, an id, the path of a file, its content as a mapping, or a Scenario"
        raise IdnError(f"scenario: {parameters.shown(scenario)}; must be {allowed}")
    return load_scenario(scenario, changes)


def changes_of(name: str, overrides: Overrides | None) -> dict[str, Any]:
    """Overrides in either form as dotted key -> value, or an `IdnError` that names the argument."""
    if overrides is None:
        return {}
    keys = [overrides] if isinstance(overrides, str) else overrides
    if not (isinstance(keys, Mapping | list | tuple) and all(isinstance(key, str) for key in keys)):
        raise IdnError(
            f"{name}: {parameters.shown(overrides)}; must be {{'KEY': VALUE}} or ['KEY=VALUE'], KEY as workload.rate"
        )
    return dict(pairs(json_values(name, keys)))


def path(name: str, value: Any) -> Path | None:
    """Value as the path of a file, or None; an `IdnError` that names the argument for anything else."""
    if value is None:
        return None
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    try:
        possible = isinstance(text, str) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # lone surrogates
        possible = False
    if not possible:
        raise IdnError(f"{name}: {parameters.shown(value)}; must be the path of a file")
    return Path(text)


def json_values(name: str, value: Any) -> Any:
    """The same in values that JSON has: mappings, lists, texts and numbers. What JSON has no form for stays.

    Raises
    ------
    IdnError
        If it holds itself, or is nested as deeply as if it did.
    """
    try:
        return _json_values(value)
    except RecursionError:
        raise IdnError(f"{name}: nested too deeply") from None


def _json_values(value: Any) -> Any:
    match value:
        case Scenario():
            return value.to_dict()
        case Enum():
            return value.value
        case Mapping():
            return {key: _json_values(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_json_values(inner) for inner in value]
        case np.generic():
            return value.item()
        case np.ndarray():
            return value.tolist()
        case os.PathLike():
            return os.fspath(value)
        case Real() if not isinstance(value, int | float):  # a fraction
            return float(value)
        case _ if (type(value).__module__, type(value).__name__) == ("torch", "device"):  # torch may be missing
            return str(value)
        case _:
            return value
