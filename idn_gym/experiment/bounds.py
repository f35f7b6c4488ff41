"""What agents in hindsight prove about a stream, for all that face it: bounds, and the best static allocation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from idn_gym.experiment.result import Result

_STATIC, _DYNAMIC = "certified_bound", "dynamic_bound"  # keys of what an agent says of itself
SHARES = {"of_bound": _STATIC, "of_dynamic_bound": _DYNAMIC}  # key of a row -> the bound that it is the share of


def static_bound(results: Sequence[Result]) -> float | None:
    """Certified net gain in ms that no static allocation exceeds on the stream of these runs, where an agent proved one."""
    return least_static_bound(result.info for result in results)


def least_static_bound(infos: Iterable[dict[str, Any]]) -> float | None:
    """`static_bound` of runs of which no more is at hand than what their agents said of themselves."""
    return _least(infos, _STATIC)


def dynamic_bound(results: Sequence[Result]) -> float | None:
    """As `static_bound`, for allocations that change with the phases of the stream."""
    return _least((result.info for result in results), _DYNAMIC)


def bound_shares(result: Result, results: Sequence[Result]) -> dict[str, float]:
    """The part of each proven bound that a run gained, net of prices; keys `of_bound` and `of_dynamic_bound`, where there is one."""
    return shares(result.summary.worth, [other.info for other in results])


def shares(worth: float, infos: Sequence[dict[str, Any]]) -> dict[str, float]:
    """`bound_shares` of a net gain in ms, from what the agents on its stream said of themselves."""
    bounds = {key: _least(infos, proven) for key, proven in SHARES.items()}
    return {key: worth / bound for key, bound in bounds.items() if bound}


def best_static(results: Sequence[Result]) -> Result | None:
    """The agent in hindsight that gained most with one allocation throughout, if there is one."""
    static = [result for result in results if result.hindsight and len(result.changes) == 1]
    return max(static, key=lambda result: result.summary.worth, default=None)


def _least(infos: Iterable[dict[str, Any]], key: str) -> float | None:
    return min((info[key] for info in infos if key in info), default=None)
