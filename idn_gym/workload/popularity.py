"""What is expected of a workload that has a rate: the share of each request type, and its mean requests, per slot."""

from __future__ import annotations

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Burst, Local, Zipf
from idn_gym.typing import FloatArray, IntArray


def popularity(network: Network, slots: FloatArray) -> FloatArray:
    """(len(slots), R) share of each type in the requests of a slot: that of its service, split evenly over entry nodes.

    The i-th service in the file has popularity proportional to i^-exponent; a sliding profile moves it by `shift`
    services every `every` slots, cyclically. Of popularity that is `local`, a share goes by the i-th in the ranking of
    the type's entry node instead, which slides likewise.

    Raises
    ------
    IdnError
        If the workload is of another kind than ``zipf`` and ``burst``.
    """
    workload = network.scenario.workload
    if not isinstance(workload, Zipf | Burst):
        raise IdnError(f"scenario {network.scenario.name}: its workload has no rate")
    count = len(network.service_names)
    weights = np.arange(1, count + 1, dtype=np.float64) ** -workload.exponent
    step = np.zeros(len(slots), dtype=np.int64)
    if workload.shift is not None and workload.every is not None:  # it slides
        step = workload.shift * (np.asarray(slots, dtype=np.int64) // workload.every)
    entries = np.bincount(network.type_service, minlength=count)
    of_service = weights[(np.arange(count) - step[:, None]) % count] * (entries > 0)
    of_type = (of_service / np.maximum(entries, 1))[:, network.type_service]
    of_type /= of_type.sum(axis=1, keepdims=True)
    if workload.local is None:
        return of_type
    own = weights[(_places(network, workload.local) - step[:, None]) % count] / entries[network.type_service]
    own /= own.sum(axis=1, keepdims=True)
    return (1.0 - workload.local.share) * of_type + workload.local.share * own


def _places(network: Network, local: Local) -> IntArray:
    """(R,) the place, counted from 0, that the service of each type has in the ranking of its entry node."""
    entries, entry_of_type = np.unique(network.type_entry, return_inverse=True)
    count = len(network.service_names)
    rankings = [np.random.default_rng([local.seed, n]).permutation(count) for n in range(len(entries))]
    return np.array(rankings)[entry_of_type, network.type_service]


def expected_requests(network: Network, slots: FloatArray) -> FloatArray:
    """(len(slots), R) mean requests of each type, crowds left out: popularity times the rate of the slot."""
    share = popularity(network, slots)
    workload = network.scenario.workload
    assert isinstance(workload, Zipf | Burst)
    expected: FloatArray = share * (workload.rate * network.scenario.slot_seconds)
    if workload.diurnal:
        turns = np.asarray(slots, dtype=np.float64) / workload.diurnal.period
        expected *= 1.0 + workload.diurnal.amplitude * np.sin(2.0 * np.pi * turns)[:, None]
    return expected
