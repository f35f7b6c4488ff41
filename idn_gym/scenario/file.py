"""Scenario files and packaged scenarios: read, override, write."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from idn_gym.common.text import listed, printable, shown
from idn_gym.errors import IdnError
from idn_gym.scenario import yaml_file
from idn_gym.scenario.schema import Replay, Scenario, dotted, parse

_MAX_BYTES = 64 * 2**20
_DEEPEST = 50  # keys of an override
_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')  # strings come first: what they hold is no number


def packaged_names() -> list[str]:
    """Names of the scenarios that ship with the package, sorted."""
    folder = resources.files("idn_gym.library") / "scenarios"
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
    from idn_gym.registration import SCENARIO_OF_ID

    text = os.fspath(scenario) if isinstance(scenario, str | os.PathLike) else None
    if not isinstance(text, str):
        raise IdnError(f"scenario {shown(scenario)}: must be a name, an id or a path, as text")

    name = SCENARIO_OF_ID.get(text, text)
    if name in packaged_names():
        file = resources.files("idn_gym.library") / "scenarios" / f"{name}.yaml"
        return from_values(yaml_file.parse_yaml(file.read_text("utf-8"), name), name, overrides)
    if not (Path(text).suffix or os.sep in text):
        allowed = listed(packaged_names(), most=20, room=200)
        raise IdnError(f"no scenario {shown(text, 30)}; packaged: {allowed}; a file has a suffix or separator")
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
    """The UTF-8 text of a regular file of at most max_bytes, or an `IdnError` that says why not."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise IdnError(f"{path}: cannot be read: is a pipe or device, no regular file")
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise IdnError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        if isinstance(error, IdnError):
            raise
        raise IdnError(f"{path}: cannot be read: no path: {error}") from None
    if len(content) > max_bytes:
        raise IdnError(f"{path}: larger than {max_bytes >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IdnError(f"{path}: not UTF-8 text (byte {error.start})") from None


def _open_at_once(path: str, flags: int) -> int:
    """Opening a pipe would wait for somebody to write to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class _NoNumber:
    """What stands for NaN or Infinity until its key is known."""

    def __init__(self, text: str) -> None:
        self.text = text


def parse_json(text: str, source: str) -> Any:
    """Strict JSON: no duplicate keys, no NaN or Infinity."""
    refused: list[_NoNumber] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise IdnError(f"{source}: key {shown(key)} twice; each key is allowed once")
            values[key] = value
        return values

    def refuse(constant: str) -> _NoNumber:
        refused.append(_NoNumber(constant))
        return refused[-1]

    try:
        values = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise IdnError(f"{source}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise IdnError(f"{source}: nested too deeply") from None
    except IdnError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise IdnError(f"{source}: {str(error).splitlines()[0]}") from None
    if refused:
        key = dotted(_place(values, refused[0]), values)
        line = 1 + text.count("\n", 0, next(found for found in _NO_NUMBER.finditer(text) if found[1]).start())
        says = f"{refused[0].text} is not a number; allowed: finite numbers"
        raise IdnError(f"{source}: {f'{key}: ' if key else ''}{says} (line {line})")
    return values


def _place(values: Any, wanted: Any) -> tuple[int | str, ...]:
    """The keys and indices that lead to an object among JSON values."""
    waiting: list[tuple[tuple[int | str, ...], Any]] = [((), values)]
    while waiting:
        place, value = waiting.pop()
        if value is wanted:
            return place
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*place, key), item) for key, item in items if isinstance(item, dict | list) or item is wanted]
    raise KeyError(wanted)


def to_yaml(scenario: Scenario) -> str:
    """The scenario as a YAML file: one line per model, node, link and request."""
    return yaml_file.to_yaml(scenario.to_dict())


def _relocated(scenario: Scenario, folder: Path) -> Scenario:
    """Trace files named relative to the scenario file, made absolute so that a record stores where they were."""
    workload = scenario.workload
    if not isinstance(workload, Replay):
        return scenario
    here = folder.resolve()
    if printable(here) != str(here):
        raise IdnError(f"{here}: a folder whose name a record cannot keep; rename it, or give --trace")
    moved = workload.model_copy(
        update={
            "requests": str(here / workload.requests),
            "capacities": str(here / workload.capacities) if workload.capacities else None,
        }
    )
    return scenario.model_copy(update={"workload": moved})


def _pairs(overrides: Iterable[str] | Mapping[str, Any]) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        for key in overrides:
            if not isinstance(key, str):
                raise IdnError(f"override {shown(key)}: must be text, a dotted key such as workload.rate")
        return list(overrides.items())
    if isinstance(overrides, str):
        overrides = [overrides]
    elif not isinstance(overrides, Iterable):
        raise IdnError(f"overrides {shown(overrides)}: must be a list of KEY=VALUE, or a mapping of keys to values")
    pairs = []
    for text in overrides:
        key, equals, value = text.partition("=") if isinstance(text, str) else ("", "", "")
        if not (key and equals):
            raise IdnError(f"override {shown(text)}: must be KEY=VALUE, for example workload.rate=300")
        pairs.append((key, yaml_file.parse_yaml(value, f"override {shown(text)}")))
    return pairs


def _overridden(data: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of data with one dotted key set. List items go by name or index; names may hold dots."""

    def put(here: Any, rest: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise IdnError(f"override {shown(key)}: more than {_DEEPEST} keys deep")
        step = _first_step(here, rest)
        if step is None:
            raise IdnError(f"override {shown(key)}: no {shown(rest)} there to set")
        head, at = step
        behind = rest[len(head) + 1 :]
        inner = (here[at] if isinstance(here, list) else here.get(head, {})) if len(head) < len(rest) else None
        placed = value if len(head) == len(rest) else put(inner, behind, depth + 1)
        return [*here[:at], placed, *here[at + 1 :]] if isinstance(here, list) else {**here, head: placed}

    result: dict[str, Any] = put(data, key, 1)
    return result


def _first_step(here: Any, key: str) -> tuple[str, int] | None:
    """The longest name of an item that a dotted key begins with, and the item's place in a list."""

    def begins(name: Any) -> bool:
        return isinstance(name, str) and key.startswith(name) and key[len(name) : len(name) + 1] in ("", ".")

    if isinstance(here, dict):
        # a key the file leaves out is set all the same; validation then says if it is unknown
        return max(filter(begins, here), key=len, default=key.partition(".")[0]), 0
    found: tuple[str, int] | None = None
    if isinstance(here, list):
        for at, item in enumerate(here):
            for name in (str(at), item.get("name") if isinstance(item, dict) else None):
                if begins(name) and (found is None or len(str(name)) > len(found[0])):
                    found = str(name), at
    return found
