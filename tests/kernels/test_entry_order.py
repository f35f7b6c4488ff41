"""The order in which kernels take the request types of large networks: entry by entry, and no sum is another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from idn_gym import kernels, load_scenario
from idn_gym.model import ranking
from idn_gym.model.network import Network
from idn_gym.scenario import parse

TWO_OF_A_TASK = [
    {"name": "now", "stages": ["cars"], "deadline_ms": 40.0},
    {"name": "later", "stages": ["cars"], "weight": 0.3},
    {"name": "people", "stages": ["people"]},
]


def compiled(monkeypatch: pytest.MonkeyPatch, in_cache: int, values: dict[str, Any]) -> Network:
    """A network of which so many placements are taken to stay in the cache."""
    monkeypatch.setattr(ranking, "_IN_CACHE", in_cache)
    network = Network.compile(parse(values, "values"))
    assert len(network.service.entry_order) in (0, network.R)
    return network


@pytest.mark.parametrize("services", [None, TWO_OF_A_TASK], ids=["tasks", "two services of a task"])
def test_sums_are_those_of_the_types_in_their_own_order(
    monkeypatch: pytest.MonkeyPatch, services: list[dict[str, Any]] | None
) -> None:
    """Bit for bit: gains, subgradients, and what INFIDA comes to."""
    values = load_scenario("tiny").to_dict() | ({} if services is None else {"services": services, "requests": None})
    values = {key: value for key, value in values.items() if value is not None}
    small, large = compiled(monkeypatch, 2**16, values), compiled(monkeypatch, 0, values)
    order = large.service.entry_order
    assert len(small.service.entry_order) == 0
    assert sorted(order.tolist()) == list(range(large.R)) != order.tolist()
    assert (np.diff(large.type_entry[order]) != 0).sum() < (np.diff(large.type_entry) != 0).sum()
    rng = np.random.default_rng(1)
    requests = rng.poisson(300.0, (50, small.R)) * rng.integers(0, 2, (50, small.R)) / 7.0
    for dtype in (np.float64, np.float32):
        y = rng.random((50, small.P)).astype(dtype)
        found = []
        for network in (small, large):
            out = np.empty(50, dtype=dtype), np.empty((50, small.P), dtype=dtype)
            arguments = requests.astype(dtype), network.capacities.astype(dtype), y
            kernels.gain_and_subgradient(network, *arguments, out=out)
            found.append((*out, kernels.gain(network, *arguments, out=np.empty(50, dtype=dtype))))
        for left, right in zip(*found, strict=True):
            assert np.array_equal(left, right)


def test_types_that_would_change_places_within_their_task_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in another order than nodes: sums of what they share would be others, entry by entry."""
    values = load_scenario("tiny").to_dict()
    network = compiled(monkeypatch, 0, values)
    paths = {network.node_names[p[0]]: [network.node_names[v] for v in p if v >= 0] for p in network.paths}
    routes = [{"task": task, "path": paths[name]} for task in values["tasks"] for name in sorted(paths, reverse=True)]
    turned = compiled(monkeypatch, 0, values | {"requests": routes})
    assert len(network.service.entry_order) == network.R
    assert len(turned.service.entry_order) == 0
