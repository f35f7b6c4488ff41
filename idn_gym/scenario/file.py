"""Scenario files, YAML or JSON: read, overridden, written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from idn_gym.common.files import parse_json, read_text
from idn_gym.common.text import printable
from idn_gym.errors import IdnError
from idn_gym.scenario import yaml_file
from idn_gym.scenario.graphs.rules import TOPOLOGY, with_nodes_and_links
from idn_gym.scenario.kinds import SCENARIO, expecting
from idn_gym.scenario.overrides import overridden, pairs
from idn_gym.scenario.scenario import Scenario, parse
from idn_gym.scenario.workloads import Own, Replay
from idn_gym.sources import Source


def read_scenario(path: Path, overrides: Iterable[str] | Mapping[str, Any] = ()) -> Scenario:
    """The scenario in a YAML or JSON file, with overrides applied and validated.

    Parameters
    ----------
    overrides : ``["workload.rate=300"]`` or ``{"workload.rate": 300}``; dotted keys, list items by their name.

    Raises
    ------
    IdnError
        If the file cannot be read, is of another kind, or the scenario is not valid.
    """
    with expecting(path, SCENARIO):
        return _relocated(from_values(read_values(path), str(path), overrides, path.parent), path.parent)


def from_values(
    data: Any, source: str, overrides: Iterable[str] | Mapping[str, Any] = (), folder: Path = Path()
) -> Scenario:
    """`parse` after reading its `topology`, if it has one, and applying overrides; see `read_scenario`.

    Overrides of the topology come first, so that others can change the nodes and links that it gives.
    """
    changes = pairs(overrides)
    if isinstance(data, dict):
        of_topology = [change for change in changes if change[0].partition(".")[0] == TOPOLOGY]
        data = with_nodes_and_links(_changed(data, of_topology), source, folder)
        data = _changed(data, [change for change in changes if change not in of_topology])
    return parse(data, source)


def _changed(data: dict[str, Any], changes: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    for key, value in changes:
        data = overridden(data, key, value)
    return data


def read_values(path: Path) -> Any:
    """The JSON values in a YAML or JSON file.

    Raises
    ------
    IdnError
        If the file cannot be read, is larger than 64 MiB, or is not strict JSON or YAML without aliases.
    """
    text = read_text(path)
    return parse_json(text, str(path)) if path.suffix.lower() == ".json" else yaml_file.parse_yaml(text, str(path))


def to_yaml(scenario: Scenario) -> str:
    """The scenario as a YAML file: one line per model, node, link and request."""
    return yaml_file.to_yaml(scenario.to_dict())


def _relocated(scenario: Scenario, folder: Path) -> Scenario:
    """Files named relative to the scenario file, made absolute so that a record stores where they were."""
    workload = scenario.workload
    capacity = getattr(workload, "capacity", None)
    files: dict[str, Any] = {}
    if isinstance(workload, Replay):
        files = {key: getattr(workload, key) for key in ("requests", "capacities") if getattr(workload, key)}
    elif isinstance(workload, Own) and _in_file(workload):
        files = {"kind": workload.kind}
    if not files and not (isinstance(capacity, Own) and _in_file(capacity)):
        return scenario
    here = folder.resolve()
    if printable(here) != str(here):
        raise IdnError(f"{here}: a folder whose name a record cannot keep; rename it, or give --trace")
    moved: dict[str, Any] = {key: str(here / file) for key, file in files.items()}
    if isinstance(capacity, Own) and _in_file(capacity):
        moved["capacity"] = capacity.model_copy(update={"kind": str(here / capacity.kind)})
    return scenario.model_copy(update={"workload": workload.model_copy(update=moved)})  # type: ignore[union-attr]


def _in_file(section: Own) -> bool:
    """Whether its code is in a file, not in a module."""
    source = Source.of(section.kind)
    return source is not None and source.is_file
