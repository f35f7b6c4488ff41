"""How heterogeneous a scenario's nodes are for its tasks: HEET, in closed form.

Source: HEET, arXiv 2312.03235; the closed form is equal to its authors' procedure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.model.placements import room
from idn_gym.scenario import Scenario
from idn_gym.scenario.schema import Node
from idn_gym.typing import FloatArray


def heet(times: FloatArray) -> float:
    """The mean over tasks of the harmonic mean over machines: 1/I sum_i J / sum_j 1/e_ij.

    Parameters
    ----------
    times : (I, J) of each task on each machine, above 0; inf where a machine cannot run a task. In the unit of the
        result.
    """
    with np.errstate(over="ignore"):  # of a machine that takes no time, the speed is infinite
        return float((times.shape[1] / (1.0 / times).sum(axis=1)).mean())


@dataclass(frozen=True)
class Heterogeneity:
    """Times of tasks at nodes, and what was left out for want of a model."""

    accuracy: float  # percentage points that a model has at least
    tasks: tuple[str, ...]  # I
    nodes: tuple[str, ...]  # J
    times: FloatArray  # (I, J) ms a request; inf where the node may hold no such model of the task
    tasks_without: tuple[str, ...]  # that no node may hold such a model of
    nodes_without: tuple[str, ...]  # that may hold no such model of any task

    @property
    def heet(self) -> float:
        """Ms a request."""
        return heet(self.times)

    @property
    def per_machine(self) -> float:
        """S-HEET, ms a request: HEET / J."""
        return self.heet / len(self.nodes)


def heterogeneity(scenario: Scenario, accuracy: float = 0.0) -> Heterogeneity:
    """HEET's matrix of a scenario: e_ij = 1000 / throughput of the fastest model of task i that node j may hold.

    A node may hold a model that fits its budget by itself, or that is permanent there. A node without any such model is
    no machine, and a task without one no task: both are left out, and named. One that has some of them stays, with a
    speed of 0 for the others.

    Parameters
    ----------
    accuracy : of models, at least, in percentage points.

    Raises
    ------
    IdnError
        If no node may hold a model of that accuracy.
    """
    columns: dict[tuple[object, ...], FloatArray] = {}  # nodes of one kind have one column

    def column(node: Node) -> FloatArray:
        kind = (node.processor, node.budget, node.repository)
        if kind not in columns:
            columns[kind] = _speeds(scenario, node, accuracy)
        return columns[kind]

    speeds = np.stack([column(node) for node in scenario.nodes], axis=1)  # requests/s
    rows, at = speeds.any(axis=1), speeds.any(axis=0)
    if not rows.any():
        most = max(model.accuracy for model in scenario.models)
        raise IdnError(
            f"accuracy {accuracy:g}: no node may hold a model so accurate; the most accurate one has {most:g}"
        )
    with np.errstate(divide="ignore"):
        times = 1000.0 / speeds[np.ix_(rows, at)]
    nodes = [node.name for node in scenario.nodes]
    return Heterogeneity(
        accuracy,
        tuple(np.array(scenario.tasks)[rows].tolist()),
        tuple(np.array(nodes)[at].tolist()),
        times,
        tuple(np.array(scenario.tasks)[~rows].tolist()),
        tuple(np.array(nodes)[~at].tolist()),
    )


def _speeds(scenario: Scenario, node: Node, accuracy: float) -> FloatArray:
    """(N,) requests/s of the fastest model of each task that a node may hold; 0 without one."""
    number = {task: i for i, task in enumerate(scenario.tasks)}
    speeds = np.zeros(len(number))
    for model in scenario.models:
        profile = model.profiles.get(node.processor)
        if profile is None or model.accuracy < accuracy:
            continue
        if profile.size <= room(node.budget) or model.name in (node.repository or ()):
            speeds[number[model.task]] = max(speeds[number[model.task]], profile.throughput)
    return speeds
