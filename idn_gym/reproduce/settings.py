"""What the sensitivity study changes of a scenario, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

from idn_gym.library.load import load_scenario
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.schema import Model

PACKAGED = "as packaged"
BURSTY = "bursty counts, shape 0.3"

Values = dict[str, Any]
Change = Callable[[Values], None]


def settings(name: str) -> dict[str, Scenario]:
    """A packaged scenario as it is, and in every setting of the study, by the setting's name."""
    found = {}
    packaged = load_scenario(name).to_dict()
    for setting, change in _changes():
        values = deepcopy(packaged)
        change(values)
        found[setting] = parse(values, f"{name}, {setting}")
    return found


def loosened(
    name: str, alpha: float, budgets: float, rate: float = 1.0, slot_seconds: float | None = None, fixed: bool = False
) -> Scenario:
    """A packaged scenario with another alpha, and times as large budgets and rate; popularity may be fixed."""
    values = load_scenario(name).to_dict()
    _set(values, accuracy_weight=alpha)
    _scale_budgets(values, budgets)
    _scale_rate(values, rate)
    if slot_seconds is not None:
        _set(values, slot_seconds=slot_seconds)
    if fixed:
        _fix(values)
    return parse(values, f"{name}, alpha {alpha:g}, {budgets:g} times the budgets")


def _changes() -> Iterator[tuple[str, Change]]:
    yield PACKAGED, _change_nothing
    for factor in (0.5, 2.0, 4.0):
        yield f"budgets x {factor:g}", partial(_scale_budgets, factor=factor)
    for factor in (0.2, 2.0, 4.0):
        yield f"request rate x {factor:g}", partial(_scale_rate, factor=factor)
    for alpha in (0.5, 2.0, 4.0):
        yield f"alpha {alpha:g}", partial(_set, accuracy_weight=alpha)
    for seconds in (1.0, 10.0, 600.0):
        yield f"slots of {seconds:g} s", partial(_set, slot_seconds=seconds)
    yield "3 replicas", partial(_set, replicas=3)
    yield "catalog: YOLOv4 at four sizes", partial(_keep, variants="yolov4-608 yolov4-512 yolov4-416 yolov4-320")
    yield "catalog: four pruned models", partial(_keep, variants="yolobile-4x yolobile-8x yolobile-10x yolobile-14x")
    yield "catalog: two variants", partial(_keep, variants="yolov4-416 yolobile-14x")
    yield "popularity moves every 15 slots", partial(_set_workload, every=15)
    yield "popularity fixed", _fix
    yield "bursty counts, shape 1.2", partial(_burst, shape=1.2)
    yield BURSTY, partial(_burst, shape=0.3)
    yield "bursty counts, shape 0.1", partial(_burst, shape=0.1)
    yield "bursts that last, shape 0.3", partial(_burst, shape=0.3, persistence=0.9)


def _change_nothing(values: Values) -> None:
    pass


def _set(values: Values, **changed: float) -> None:
    values.update(changed)


def _set_workload(values: Values, **changed: Any) -> None:
    values["workload"].update(changed)


def _scale_budgets(values: Values, factor: float) -> None:
    for node in values["nodes"]:
        node["budget"] *= factor


def _scale_rate(values: Values, factor: float) -> None:
    values["workload"]["rate"] *= factor


def _fix(values: Values) -> None:
    kept = {key: value for key, value in values["workload"].items() if key not in ("shift", "every")}
    values["workload"] = {**kept, "profile": "fixed"}


def _burst(values: Values, **burst: float) -> None:
    _fix(values)  # so that bursts are the only thing that moves
    _set_workload(values, kind="burst", **burst)


def _keep(values: Values, variants: str) -> None:
    values["models"] = [one for one in values["models"] if Model.model_validate(one).variant in variants.split()]
    kept = {model["name"] for model in values["models"]}
    for node in values["nodes"]:
        if "repository" in node:
            node["repository"] = [name for name in node["repository"] if name in kept]
