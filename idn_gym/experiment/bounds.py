"""What agents in hindsight say of a stream, for all that face it: bounds, what its law is worth, the best static."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from idn_gym.experiment.result import Result

_STATIC, _DYNAMIC, _LAW = "certified_bound", "dynamic_bound", "law_aware_gain"  # keys of what an agent says of itself
# key of a row -> the yardstick that it is the share of, and which counts where several agents have one: the hardest
SHARES: dict[str, tuple[str, Callable[..., float | None]]] = {
    "of_bound": (_STATIC, min),
    "of_dynamic_bound": (_DYNAMIC, min),
    "of_law_aware": (_LAW, max),
}


def static_bound(results: Sequence[Result]) -> float | None:
    """Certified net gain in ms that no static allocation on the stream of these runs exceeds, if one was proved."""
    return least_static_bound(result.info for result in results)


def least_static_bound(infos: Iterable[dict[str, Any]]) -> float | None:
    """`static_bound` of runs of which no more is at hand than what their agents said of themselves."""
    return _hardest(infos, "of_bound")


def dynamic_bound(results: Sequence[Result]) -> float | None:
    """As `static_bound`, for allocations that change with the phases of the stream."""
    return _hardest((result.info for result in results), "of_dynamic_bound")


def law_aware_gain(results: Sequence[Result]) -> float | None:
    """Net gain in ms of a policy that knows the law of the stream of these runs, if one of them is that."""
    return _hardest((result.info for result in results), "of_law_aware")


def bound_shares(result: Result, results: Sequence[Result]) -> dict[str, float]:
    """The part of each yardstick that a run gained, net, where there is one: `SHARES`."""
    return shares(result.summary.worth, [other.info for other in results])


def shares(worth: float, infos: Sequence[dict[str, Any]]) -> dict[str, float]:
    """`bound_shares` of a net gain in ms, from what the agents on its stream said of themselves."""
    yardsticks = {key: _hardest(infos, key) for key in SHARES}
    return {key: worth / yardstick for key, yardstick in yardsticks.items() if yardstick}


def telling(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Keys of the shares in rows, but that of the static bound where another yardstick is above it: it flatters."""
    rows = list(rows)
    found = [key for key in SHARES if any(key in row for row in rows)]
    if any(abs(row[key]) < abs(row["of_bound"]) for row in rows if "of_bound" in row for key in found if key in row):
        found.remove("of_bound")
    return found


def best_static(results: Sequence[Result]) -> Result | None:
    """The agent in hindsight that gained most with one allocation throughout, if there is one."""
    static = [result for result in results if result.hindsight and result.updates == 1]
    return max(static, key=lambda result: result.summary.worth, default=None)


def _hardest(infos: Iterable[dict[str, Any]], share: str) -> float | None:
    key, hardest = SHARES[share]
    return hardest((info[key] for info in infos if key in info), default=None)
