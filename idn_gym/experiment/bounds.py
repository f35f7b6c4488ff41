"""What agents in hindsight prove about a stream, for all that face it: bounds, and the best static allocation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from idn_gym.experiment.result import Result


def static_bound(results: Sequence[Result]) -> float | None:
    """Certified gain in ms that no static allocation exceeds on the stream of these runs, where an agent proved one."""
    return least_static_bound(result.info for result in results)


def least_static_bound(infos: Iterable[dict[str, Any]]) -> float | None:
    """`static_bound` of runs of which no more is at hand than what their agents said of themselves."""
    return _least(infos, "certified_bound")


def dynamic_bound(results: Sequence[Result]) -> float | None:
    """As `static_bound`, for allocations that change with the phases of the stream."""
    return _least((result.info for result in results), "dynamic_bound")


def bound_shares(result: Result, results: Sequence[Result]) -> dict[str, float]:
    """The part of each proven bound that a run gained; keys `of_bound` and `of_dynamic_bound`, where there is one."""
    bounds = {"of_bound": static_bound(results), "of_dynamic_bound": dynamic_bound(results)}
    return {key: result.summary.gain / bound for key, bound in bounds.items() if bound}


def best_static(results: Sequence[Result]) -> Result | None:
    """The agent in hindsight that gained most with one allocation throughout, if there is one."""
    static = [result for result in results if result.hindsight and len(result.changes) == 1]
    return max(static, key=lambda result: result.summary.gain, default=None)


def _least(infos: Iterable[dict[str, Any]], key: str) -> float | None:
    return min((info[key] for info in infos if key in info), default=None)
