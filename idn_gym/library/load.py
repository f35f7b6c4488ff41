"""A scenario by whatever it is called: a packaged name, an id, or the path of a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from idn_gym.common.text import allowed, did_you_mean, listed, shown
from idn_gym.errors import IdnError
from idn_gym.library.names import NAMESPACE, SCENARIO_OF_ID, packaged_name, packaged_names
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

    name = packaged_name(text)
    if name is not None:
        file = resources.files("idn_gym.library") / "scenarios" / f"{name}.yaml"
        return from_values(parse_yaml(file.read_text("utf-8"), name), name, overrides)
    path = Path(text)
    if text.startswith(f"{NAMESPACE}/") and not path.exists():
        raise _no_id(text)
    if not (path.suffix or os.sep in text):
        if path.is_file():
            raise IdnError(f"no scenario {shown(text, 30)} is packaged; for the file of that name give .{os.sep}{text}")
        known = packaged_names()
        meant, there = did_you_mean(text, known), listed(known, most=20, room=140)
        how = "" if meant else "; a file has a suffix or separator"
        raise IdnError(f"no scenario {shown(text, 30)}; {meant}packaged: {there}, see idn-gym list{how}")
    return read_scenario(path, overrides)


def _no_id(text: str) -> IdnError:
    """The error about an id that is not registered."""
    meant = re.sub(r"-v[0-9]+$", "", text) + "-v0"
    if meant in SCENARIO_OF_ID:
        return IdnError(f"no id {shown(text)}: there is no such version; did you mean {meant!r}?")
    if meant == f"{NAMESPACE}/Scenario-v0":
        return IdnError(f"{text}: takes any scenario, in Python; here give that scenario: a name, id or file")
    return IdnError(f"no id {shown(text)}; {allowed(text, list(SCENARIO_OF_ID), most=20, room=170)}")
