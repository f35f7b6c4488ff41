"""The data of a page's views of runs: figures, costs, shares of bounds and their course over time, by setting.

A setting is what streams share that differ in their seed alone. Numbers have five digits, and a course as many points
as a page has room for; what a point stands for is said beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from idn_gym.common.text import printable
from idn_gym.experiment.bounds import dynamic_bound, law_aware_gain, static_bound
from idn_gym.experiment.intervals import mean_interval, student_bands
from idn_gym.experiment.metrics import running_ntag
from idn_gym.experiment.result import Result
from idn_gym.experiment.sweep import label_keys
from idn_gym.report.page.streams import Stream
from idn_gym.typing import FloatArray

_NUMBERS = 300_000  # of the courses of a part, at most: 2 MB
_FEWEST, _MOST = 20, 300  # points of a course
# figures of a row -> what they are called; those that are None or missing in every row are not shown
FIGURES = {
    "ntag": "NTAG: gain per request (ms)",
    "of_bound": "share of the static bound",
    "of_dynamic_bound": "share of the bound by phase",
    "of_law_aware": "share of what knowing the law earns",
    "net": "net gain, total (ms)",
    "gain": "gain, total (ms)",
    "missed": "deadlines missed (share)",
    "latency_ms": "latency per request (ms)",
    "inaccuracy": "inaccuracy per request (points)",
    "model_update_mb": "models loaded (MB per slot)",
    "price_per_hour": "price of what is held (per hour)",
}
_COURSES = {
    "ntag": "gain per request, averaged so far (ms)",
    "gain": "gain per request (ms)",
    "net": "net gain per request (ms)",
    "latency_ms": "latency per request (ms)",
    "inaccuracy": "inaccuracy per request (points)",
    "model_update_mb": "models loaded (MB per slot)",
    "missed": "deadlines missed (share)",
    "price_per_hour": "price of what is held (per hour)",
}
_YARDSTICKS = {
    "static bound": static_bound,
    "bound by phase": dynamic_bound,
    "law-aware": law_aware_gain,
}


def grouped(streams: Sequence[Stream]) -> dict[str, list[Stream]]:
    """Streams by setting."""
    groups: dict[str, list[Stream]] = {}
    for stream in streams:
        key = {name: value for name, value in stream.labels.items() if name != "seed"}
        groups.setdefault(json.dumps(key, sort_keys=True, default=str), []).append(stream)
    return groups


def axes_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What is varied, seeds apart: label -> its values as texts, numbers by size, names in the order of the rows.

    A label that goes with another one, as a case's workload does, is no axis of its own; folders always are.
    """
    found: dict[str, list[str]] = {}
    for key in label_keys(rows):
        values: dict[str, Any] = {text_of(row.get(key)): row.get(key) for row in rows}
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values.values()):
            values = dict(sorted(values.items(), key=lambda item: float(item[1])))
        if len(values) > 1:
            found[key] = list(values)
    for key in [key for key in reversed(found) if key != "folder"]:
        others = [other for other in found if other != key]
        if any(len({(text_of(row.get(o)), text_of(row.get(key))) for row in rows}) == len(found[o]) for o in others):
            del found[key]
    return found


def text_of(value: Any) -> str:
    """A label's value as a text; a dash where there is none."""
    if value is None:
        return "-"
    return printable(value if isinstance(value, str) else json.dumps(value, default=str))


def views(groups: Sequence[Sequence[Stream]], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The data of the views of runs, less what nodes hold and what services gain.

    Parameters
    ----------
    groups : streams by setting.
    rows : of all their runs.
    """
    axes = axes_of(rows)
    numbers = sum(len(_courses(result)) * (3 if len(same) > 1 else 1) for same in groups for result in same[0].results)
    points = min(_MOST, max(_FEWEST, _NUMBERS // max(numbers, 1)))
    return {
        "axes": [{"key": printable(key), "values": values} for key, values in axes.items()],
        "figures": [
            {"key": key, "label": label}
            for key, label in FIGURES.items()
            if any(row.get(key) is not None for row in rows)
        ],
        "settings": [_setting(same, axes, points) for same in groups],
    }


def figures_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float | None]]]:
    """Agent -> figure -> its mean over the rows of the agent, and the ends of the 95% interval."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for agent in dict.fromkeys(str(row["agent"]) for row in rows):
        same = [row for row in rows if row["agent"] == agent]
        kept = [key for key in FIGURES if all(row.get(key) is not None for row in same)]
        found[printable(agent)] = {key: interval([float(row[key]) for row in same]) for key in kept}
    return found


def interval(values: Sequence[float]) -> list[float | None]:
    """Mean, lower and upper end of the 95% interval, which one value does not have."""
    if len(values) == 1:
        return [short(values[0])]
    found = mean_interval(values)
    return [short(end) for end in (found.mean, *found.ends)]


def short(value: float) -> float | None:
    """A number in five digits; None, which JSON has, where it is none."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _setting(same: Sequence[Stream], axes: Mapping[str, Sequence[str]], points: int) -> dict[str, Any]:
    rows = [row for stream in same for row in stream.rows]
    slots = min(stream.about["slots"] for stream in same)
    edges = np.unique(np.linspace(0, slots, min(points, slots) + 1).astype(int))
    figures = figures_of(rows)
    by_agent: dict[str, list[tuple[Stream, Result]]] = {}
    for stream in same:
        for result in stream.results:
            by_agent.setdefault(printable(result.agent), []).append((stream, result))
    yardsticks = []
    for name, yardstick in _YARDSTICKS.items():
        values = [_each(yardstick(one.results), one) for one in same]
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            yardsticks.append({"name": name, "value": short(float(np.mean(known)))})
    return {
        "at": [list(values).index(text_of(same[0].labels.get(key))) for key, values in axes.items()],
        "seeds": [int(stream.about["seed"]) for stream in same],
        "slots": slots,
        "x": edges[1:].tolist(),
        "net": any(result.summary.net is not None for stream in same for result in stream.results),
        "yardsticks": yardsticks,
        "agents": {
            agent: {
                "figures": figures[agent],
                "worth": interval([_per_request(result, result.summary.worth) for _, result in pairs]),
                "costs": _costs(pairs),
                "courses": _thinned([result for _, result in pairs], slots, edges),
            }
            for agent, pairs in by_agent.items()
        },
    }


def _courses(result: Result) -> list[str]:
    return [key for key in _COURSES if key == "ntag" or key in result.table.columns()]


def _thinned(results: Sequence[Result], slots: int, edges: Any) -> dict[str, list[list[float | None]]]:
    """Course -> values at the ends of blocks of slots, or their means: over seeds, with the ends of 95% intervals."""
    found = {}
    for key in _COURSES:
        if key == "ntag":
            values = np.stack([running_ntag(r.table.gain[:slots], r.table.requests[:slots]) for r in results])
            blocks = values[:, edges[1:] - 1]
        elif all(key in result.table.columns() for result in results):
            blocks = np.stack([_blocks(result, key, slots, edges) for result in results])
        else:
            continue
        bands = student_bands(blocks) if len(results) > 1 else blocks
        found[key] = [[short(value) for value in column] for column in bands]
    return found


def _blocks(result: Result, key: str, slots: int, edges: Any) -> FloatArray:
    """Means over blocks of slots: of what is per request, over those that have requests."""
    table = result.table
    values, requests = table.columns()[key][:slots], table.requests[:slots]
    if key in ("gain", "net"):
        values = np.divide(values, requests, out=np.zeros(slots), where=requests > 0)
    weights = np.ones(slots)
    if key in ("gain", "net", "latency_ms", "inaccuracy"):
        weights = (requests > 0).astype(np.float64)
    elif key == "missed" and table.timed_requests is not None:
        weights = table.timed_requests[:slots]
    total = np.add.reduceat(values * weights, edges[:-1])
    count = np.add.reduceat(weights, edges[:-1])
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _costs(pairs: Sequence[tuple[Stream, Result]]) -> dict[str, float | None]:
    """Parts of the cost of a request in ms, MB loaded per slot, and the price: means over seeds."""
    parts: dict[str, list[float]] = {}
    for stream, result in pairs:
        of_run, scenario = result.summary, stream.about["scenario"]
        parts.setdefault("latency", []).append(of_run.latency_ms)
        parts.setdefault("inaccuracy", []).append(float(scenario["accuracy_weight"]) * of_run.inaccuracy)
        if of_run.net is not None:
            parts.setdefault("price", []).append(_per_request(result, of_run.gain - of_run.net))
        if of_run.price_per_hour is not None:
            parts.setdefault("per_hour", []).append(of_run.price_per_hour)
        parts.setdefault("loaded", []).append(of_run.model_update_mb)
    return {key: short(float(np.mean(values))) for key, values in parts.items() if len(values) == len(pairs)}


def _per_request(result: Result, total: float) -> float:
    requests = float(result.table.requests.sum())
    return total / requests if requests else 0.0


def _each(total: float | None, stream: Stream) -> float | None:
    return None if total is None else _per_request(stream.results[0], total)
