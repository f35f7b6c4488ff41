"""Scenario files and packaged scenarios: read, override, write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from idn_gym import yaml_file
from idn_gym.errors import IdnError
from idn_gym.scenario import Replay, Scenario, parse

_MAX_BYTES = 64 * 2**20


def packaged_names() -> list[str]:
    """Names of the scenarios that ship with the package, sorted."""
    folder = resources.files("idn_gym") / "scenarios"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml"))


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
    text = os.fspath(scenario)
    from idn_gym.registration import SCENARIO_OF_ID

    name = SCENARIO_OF_ID.get(text, text)
    if name in packaged_names():
        file = resources.files("idn_gym") / "scenarios" / f"{name}.yaml"
        return from_values(yaml_file.parse_yaml(file.read_text("utf-8"), name), name, overrides)
    if not (Path(text).suffix or os.sep in text):
        allowed = ", ".join(packaged_names())
        raise IdnError(f"no scenario {text!r}; packaged: {allowed}; a file has a suffix or a separator in its name")
    path = Path(text)
    return _relocated(from_values(read_values(path), str(path), overrides), path.parent)


def from_values(data: Any, source: str, overrides: Iterable[str] | Mapping[str, Any] = ()) -> Scenario:
    """`parse` after applying overrides; see `load_scenario`."""
    for key, value in _pairs(overrides):
        if isinstance(data, dict):
            data = _overridden(data, key, value)
    return parse(data, source)


def read_values(path: Path) -> Any:
    """The JSON values in a YAML or JSON file.

    Raises
    ------
    IdnError
        If the file cannot be read, is larger than 64 MiB, or is not strict JSON or YAML without aliases.
    """
    text = read_text(path)
    return parse_json(text, str(path)) if path.suffix.lower() == ".json" else yaml_file.parse_yaml(text, str(path))


def read_text(path: Path, max_bytes: int = _MAX_BYTES) -> str:
    """The UTF-8 text of a file of at most max_bytes, or an `IdnError` that says why not."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise IdnError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > max_bytes:
        raise IdnError(f"{path}: larger than {max_bytes >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IdnError(f"{path}: not UTF-8 text (byte {error.start})") from None


def parse_json(text: str, source: str) -> Any:
    """Strict JSON: no duplicate keys, no NaN or Infinity."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise IdnError(f"{source}: key {key!r} twice; each key is allowed once")
            values[key] = value
        return values

    def refuse(constant: str) -> None:
        raise IdnError(f"{source}: {constant} is not a number; allowed: finite numbers")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise IdnError(f"{source}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise IdnError(f"{source}: nested too deeply") from None
    except IdnError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise IdnError(f"{source}: {str(error).splitlines()[0]}") from None


def to_yaml(scenario: Scenario) -> str:
    """The scenario as a YAML file: one line per model, node, link and request."""
    return yaml_file.to_yaml(scenario.to_dict())


def _relocated(scenario: Scenario, folder: Path) -> Scenario:
    """Trace files named relative to the scenario file, made absolute so that a record stores where they were."""
    workload = scenario.workload
    if not isinstance(workload, Replay):
        return scenario
    here = folder.resolve()
    moved = workload.model_copy(
        update={
            "requests": str(here / workload.requests),
            "capacities": str(here / workload.capacities) if workload.capacities else None,
        }
    )
    return scenario.model_copy(update={"workload": moved})


def _pairs(overrides: Iterable[str] | Mapping[str, Any]) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    if isinstance(overrides, str):
        overrides = [overrides]
    pairs = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise IdnError(f"override {text!r}: must be KEY=VALUE, for example workload.rate=300")
        pairs.append((key, yaml_file.parse_yaml(value, f"override {text!r}")))
    return pairs


def _overridden(data: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of data with one dotted key set. List items go by name or index; names may hold dots."""

    def put(here: Any, steps: list[str]) -> Any:
        for n in range(len(steps), 0, -1):  # the longest name first, since names may hold dots
            head, rest = ".".join(steps[:n]), steps[n:]
            if isinstance(here, list):
                for index, item in enumerate(here):
                    if head == str(index) or (isinstance(item, dict) and item.get("name") == head):
                        return [*here[:index], put(item, rest) if rest else value, *here[index + 1 :]]
            elif isinstance(here, dict) and (head in here or n == 1):
                # a key the file leaves out is set all the same; validation then says if it is unknown
                return {**here, head: put(here.get(head, {}), rest) if rest else value}
        raise IdnError(f"override {key!r}: no {'.'.join(steps)!r} there to set")

    result: dict[str, Any] = put(data, key.split("."))
    return result
