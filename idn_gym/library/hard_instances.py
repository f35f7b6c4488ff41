"""Small scenarios, each built to break one greedy heuristic: the content of their files, to be read by `parse`."""

from __future__ import annotations

import math
from typing import Any

from idn_gym.errors import IdnError
from idn_gym.topology import nodes_and_links, tiers

_MADE_UP = "made up: round numbers to compute by hand"


def adversary(tasks: int = 4, exponent: float = 1.0) -> dict[str, Any]:
    """A base station with room for one model of several tasks, and requests that all ask for another one.

    Parameters
    ----------
    tasks : N, at least 2; each has one model, of 1 MB, which serves a whole batch.
    exponent : of the popularity by which the adversary draws among the tasks that its victim does not hold.

    Notes
    -----
    With g = 40 ms x the requests of a slot: ``last-batch-greedy`` holds the task asked for last, whatever its `keep`,
    since what it holds gained nothing on the last batch; the adversary asks for another, so its gain is 0 in every
    slot. Of the N allocations that hold one task throughout, exactly one gains g in a slot, so the best of them gains
    at least T g / N in T slots: the greedy's regret is linear in T, and its share of the optimum is 0.
    """
    if tasks < 2:
        raise IdnError(f"tasks: {tasks}; must be at least 2")
    names = [f"task-{i}" for i in range(1, tasks + 1)]
    profile = {"size": 1.0, "delay": 1.0, "throughput": 10.0}
    graph = tiers((1, 1), 40.0, names=("cloud", "bs"), processors="gpu", budgets=(0.0, 1.0), repository=_models(names))
    return {
        "name": "adversary",
        "horizon": 1024,
        "tasks": names,
        "models": [_model(name, {"gpu": profile}) for name in names],
        **nodes_and_links(graph),
        "workload": {"kind": "adversary", "rate": 10.0, "exponent": exponent, "keep": 0.5},
        "provenance": {
            "*": _MADE_UP,
            "nodes.bs.budget": "made up: room for one model, so that what last-batch-greedy holds is known",
            "models.*.throughput": "made up: just a whole batch, which makes the bound on regret as sharp as it can be",
            "workload.exponent": "chosen: some tasks are asked for more than others, so that there is one to learn",
            "workload.keep": "chosen: the default of last-batch-greedy, the victim",
        },
    }


def greedy_trap(size: float = 12.0) -> dict[str, Any]:
    """A small model that looks best per MB at a base station, where it shuts out the one that matters.

    Parameters
    ----------
    size : MB of the model that matters, and of memory at the base station; at least 3. The static optimum gains
        about 2/3 x `size` + 1 times what static greedy does.

    Notes
    -----
    Tasks: people, with a model of `size` MB that runs at the base station alone, and signs, asked for 2/3 x `size`
    times as rarely, with a model of 1 MB that runs at the central office just as well, 1 ms further on. Per MB, signs
    at the base station is worth 1.5 times what people is, so ``static-greedy`` takes it; people then no longer fits,
    and signs at the central office adds nothing. The optimum has people at the base station and signs above it.
    """
    if size < 3.0:
        raise IdnError(f"size: {size}; must be at least 3")
    names = ["people", "signs"]
    large, small = ({"size": mb, "delay": 1.0, "throughput": 50.0} for mb in (size, 1.0))
    graph = tiers(
        (1, 1, 1),
        (40.0, 1.0),
        names=("cloud", "co", "bs"),
        processors=("cloud", "server", "edge"),
        budgets=(0.0, 1.0, size),
        repository=_models(names),
    )
    return {
        "name": "greedy-trap",
        "tasks": names,
        "models": [
            _model("people", {"edge": large, "cloud": large}),
            _model("signs", {"edge": small, "server": small, "cloud": small}),
        ],
        **nodes_and_links(graph),
        "workload": {"kind": "zipf", "rate": 9.0, "exponent": math.log2(2.0 * size / 3.0)},
        "provenance": {
            "*": _MADE_UP,
            "nodes.bs.budget": "made up: room for people, or for signs and no longer for people",
            "models.*.throughput": "made up: far beyond the requests, so that capacity plays no part",
            "workload.exponent": "made up: people is asked for 2/3 as many times as often as its model is larger",
        },
    }


def _models(tasks: list[str]) -> list[str]:
    return [f"{task}/model" for task in tasks]


def _model(task: str, profiles: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {"name": f"{task}/model", "task": task, "accuracy": 50.0, "profiles": profiles}
