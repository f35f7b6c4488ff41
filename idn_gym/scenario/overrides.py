"""Overrides: values of a scenario file set by dotted keys, ``workload.rate=300``, before it is validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from idn_gym.common.text import allowed, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.yaml_file import parse_yaml

_DEEPEST = 50  # keys of an override


def pairs(overrides: Iterable[str] | Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Dotted key and value of each override, or an `IdnError` about the first that is none."""
    if isinstance(overrides, Mapping):
        for key in overrides:
            if not isinstance(key, str):
                raise IdnError(f"override {shown(key)}: must be text, a dotted key such as workload.rate")
        return list(overrides.items())
    if isinstance(overrides, str):
        overrides = [overrides]
    elif not isinstance(overrides, Iterable):
        raise IdnError(f"overrides {shown(overrides)}: must be a list of KEY=VALUE, or a mapping of keys to values")
    found = []
    for text in overrides:
        key, equals, value = text.partition("=") if isinstance(text, str) else ("", "", "")
        if not (key and equals):
            raise IdnError(f"override {shown(text)}: must be KEY=VALUE, for example workload.rate=300")
        found.append((key, parse_yaml(value, f"override {shown(text)}")))
    return found


def overridden(data: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of data with one dotted key set. List items go by name or index; names may hold dots."""

    def put(here: Any, rest: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise IdnError(f"override {shown(key)}: more than {_DEEPEST} keys deep")
        step = _first_step(here, rest)
        if step is None:
            raise IdnError(f"override {shown(key)}: {_nothing(here, key[: len(key) - len(rest) - 1], rest)}")
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


def _nothing(here: Any, above: str, rest: str) -> str:
    """Why there is nothing to set: what the keys above it lead to, and the items there are."""
    step = rest.partition(".")[0]
    if not isinstance(here, list):
        return f"{above} is {shown(here)}, which has no {shown(step)} to set"
    names = [item["name"] for item in here if isinstance(item, dict) and isinstance(item.get("name"), str)]
    choice = allowed(step, names) if names else f"allowed: places 0 to {len(here) - 1}"
    return f"no {shown(step)} among the {above}; {choice}"
