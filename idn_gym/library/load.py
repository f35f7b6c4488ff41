"""A scenario by whatever it is called: a packaged name, an id, or the path of a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from idn_gym.common.text import listed, shown
from idn_gym.errors import IdnError
from idn_gym.library.names import SCENARIO_OF_ID, packaged_names
from idn_gym.scenario import Scenario
from idn_gym.scenario.file import from_values, read_scenario
from idn_gym.scenario.yaml_file import parse_yaml


def load_scenario(scenario: str | os.PathLike[str], overrides: Iterable[str] | Mapping[str, Any] = ()) -> Scenario:
    """Load a packaged scenario, a registered id or a file, with overrides applied and validated.

    Parameters
    ----------
    scenario : a packaged name (``tiny``), an id (``IDN/Tiny-v0``), or a path: anything with a suffix or a separator.
    overrides : ``["workload.rate=300"]`` or ``{"workload.rate": 300}``; dotted keys, list items by their name.

    Raises
    ------
    IdnError
        If there is no such scenario, the file cannot be read, or the scenario is not valid.
    """
    text = os.fspath(scenario) if isinstance(scenario, str | os.PathLike) else None
    if not isinstance(text, str):
        raise IdnError(f"scenario {shown(scenario)}: must be a name, an id or a path, as text")

    name = SCENARIO_OF_ID.get(text, text)
    if name in packaged_names():
        file = resources.files("idn_gym.library") / "scenarios" / f"{name}.yaml"
        return from_values(parse_yaml(file.read_text("utf-8"), name), name, overrides)
    if not (Path(text).suffix or os.sep in text):
        allowed = listed(packaged_names(), most=20, room=200)
        raise IdnError(f"no scenario {shown(text, 30)}; packaged: {allowed}; a file has a suffix or separator")
    return read_scenario(Path(text), overrides)
