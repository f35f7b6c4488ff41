"""Allocation files: JSON, node -> list of model names, or node -> {model: fraction}."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from idn_gym.common.text import allowed, shown
from idn_gym.errors import IdnError
from idn_gym.model.allocation import check
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.scenario.file import read_values
from idn_gym.scenario.kinds import ALLOCATION, expecting
from idn_gym.typing import FloatArray


def read_allocation(network: Network, path: Path) -> FloatArray:
    """(P,) float64 of an allocation file, feasible.

    A repository model at its own node is there anyway and changes nothing.

    Raises
    ------
    IdnError
        Naming the node and model that is unknown, cannot run there, is given twice, has a fraction outside [0, 1],
        or the node that is over its budget; or saying what the file is, if it is of another kind.
    """
    with expecting(path, ALLOCATION):
        allocation = parse_allocation(network, read_values(path), str(path))
    try:
        check(network, allocation)
    except IdnError as error:
        raise IdnError(f"{path}: {error}") from None
    return allocation


def parse_allocation(network: Network, values: Any, source: str, highest: float = 1.0) -> FloatArray:
    """`read_allocation` of values that have been read from `source`, whatever they make of the budgets.

    Values of other things than fractions may go up to `highest`.
    """
    if not isinstance(values, dict):
        raise IdnError(f"{source}: an allocation maps each node to its models, not {type(values).__name__}")
    nodes, models = network.node_number, network.model_number
    allocation = np.zeros(network.P)
    for node, held in values.items():
        if node not in nodes:
            raise IdnError(f"{source}: unknown node {shown(node)}; {allowed(node, nodes)}")
        for model, fraction in _pairs(source, node, held):
            if model not in models:
                raise IdnError(f"{source}: {node}: unknown model {shown(model)}; {allowed(model, models)}")
            number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
            if not (number and 0.0 <= fraction <= highest):
                raise IdnError(f"{source}: {node}.{model}: {shown(fraction)}; must be a number in [0, {highest:g}]")
            p = network.number(node, model)
            if p >= 0:
                allocation[p] = fraction
            elif not network.is_permanent(nodes[node], models[model]):
                raise IdnError(f"{source}: {model} cannot run at {node}: it has no profile for that processor")
    return allocation


def named(placements: Placements, allocation: FloatArray) -> dict[str, list[str]]:
    """An integral allocation (P,) as node -> model names, in the form of an allocation file."""
    held: dict[str, list[str]] = {}
    for p in np.flatnonzero(allocation).tolist():
        node, model = placements.names(p)
        held.setdefault(node, []).append(model)
    return held


def named_values(placements: Placements, values: FloatArray, sparse: bool = False) -> dict[str, dict[str, float]]:
    """(P,) values as node -> {model: value}; with `sparse` those alone that are not 0."""
    held: dict[str, dict[str, float]] = {}
    for p, value in enumerate(np.asarray(values).tolist()):
        if value or not sparse:
            node, model = placements.names(p)
            held.setdefault(node, {})[model] = value
    return held


def _pairs(source: str, node: str, held: Any) -> list[tuple[str, Any]]:
    if isinstance(held, dict):
        return list(held.items())
    if not isinstance(held, list) or not all(isinstance(model, str) for model in held):
        raise IdnError(f"{source}: {node}: {shown(held)}; must be a list of model names or {{model: fraction}}")
    repeated = next((model for model, times in Counter(held).items() if times > 1), None)
    if repeated is not None:
        raise IdnError(f"{source}: {node}: model {shown(repeated)} twice")
    return [(model, 1.0) for model in held]
