"""Serving many slots and tabulating what came of it: the one way from allocations to figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from idn_gym import kernels
from idn_gym.env.outcome import Outcome, by_tier, per_request, weighted, weights_of
from idn_gym.experiment.metrics import SlotTable, summarise
from idn_gym.model.allocation_file import named_values
from idn_gym.model.network import Network
from idn_gym.model.service import ServedTypes
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

Allocation = FloatArray | IntArray
_AT_ONCE = 64  # slots of a trace that are looked at together


def slot_table(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    loaded: FloatArray,
    *,
    fractional: FloatArray | None = None,
) -> SlotTable:
    """Serve T slots.

    Parameters
    ----------
    requests, capacities : (T, R), and (T, P) or (1, P).
    allocation : (T, P), or (P,) for one that serves all slots.
    loaded : (T,) MB newly loaded in each slot.
    fractional : (T, P) fractional states whose gain is to stand beside.
    """
    served = kernels.serve(network, requests, capacities, allocation)
    shares = by_tier(network, served.by_node)
    slots = np.arange(len(requests))
    price = weighted(weights_of(network.prices), np.atleast_2d(allocation))
    timed = weighted(weights_of(network.timed), requests)
    outcome = Outcome.of(
        served,
        requests,
        shares,
        slot=slots,
        loaded=loaded,
        repaired=np.zeros_like(slots),
        price=None if price is None else np.broadcast_to(price, slots.shape),
        timed=timed,
    )
    return SlotTable(
        requests=outcome.request_count,
        gain=outcome.gain,
        cost=outcome.cost,
        latency_ms=outcome.latency_ms,
        inaccuracy=outcome.inaccuracy,
        model_update_mb=outcome.model_update_mb,
        fractional_gain=None if fractional is None else kernels.gain(network, requests, capacities, fractional),
        timed_requests=timed,
        missed=None if timed is None else outcome.missed,
        price_per_hour=None if price is None else outcome.price_per_slot * (3600.0 / network.scenario.slot_seconds),
        net=None if price is None else outcome.gain - network.price_weight * outcome.price_per_slot,
    )


def evaluate(network: Network, trace: Trace, allocation: FloatArray, *, subgradient: bool = False) -> dict[str, Any]:
    """What one allocation (P,), integral or fractional, makes of a trace, as JSON values.

    Cost and gain are totals in ms, latency (ms) and inaccuracy (percentage points) are per request. Where there are
    deadlines, `missed` is the share of requests that missed theirs; where there are prices, `net` is the total net gain
    in ms. With `subgradient`, that of every slot is given as node -> model -> ms; it is the gain's.
    """
    table = slot_table(network, trace.requests, trace.capacities, allocation, np.zeros(trace.slots))
    shown = ("requests", "cost", "gain", "latency_ms", "inaccuracy")
    columns = {name: table.columns()[name].tolist() for name in shown}
    if table.missed is not None:
        columns["missed"] = table.missed.tolist()
    if table.price_per_hour is not None:
        columns["price_per_slot"] = [float(allocation @ network.prices)] * trace.slots
    slots = [{"slot": t, **{name: column[t] for name, column in columns.items()}} for t in range(trace.slots)]
    summary = asdict(summarise(table))
    document = {
        "slots": slots,
        "gain": summary["gain"],
        "cost": float(table.cost.sum()),
        "ntag": summary["ntag"],
        "latency_ms": summary["latency_ms"],
        "inaccuracy": summary["inaccuracy"],
        **{name: summary[name] for name in ("missed", "price_per_hour", "net") if summary[name] is not None},
    }
    if subgradient:
        document["subgradient"] = [
            named_values(
                network,
                kernels.gain_and_subgradient(network, trace.requests[t], trace.capacities_at(t), allocation)[1][0],
            )
            for t in range(trace.slots)
        ]
    return document


def by_service(network: Network, trace: Trace, placed: Iterable[Allocation]) -> list[dict[str, Any]]:
    """What serving a trace comes to by service, as JSON values.

    Parameters
    ----------
    placed : (P,) what serves each slot, slot by slot.

    Returns
    -------
    Per service `service`, `requests`, `gain` (total ms), `latency_ms` and `inaccuracy` (per request), and where it has
    a deadline `missed`, the share of its requests that were late.
    """
    count = len(network.service_names)
    totals = {name: np.zeros(count) for name in ("requests", *ServedTypes._fields)}
    slots = ((part.requests[t], part.capacities_at(t)) for part in trace.parts(_AT_ONCE) for t in range(part.slots))
    for (requests, capacities), allocation in zip(slots, placed, strict=True):
        served = network.service.serve_types(requests, capacities, allocation)
        for name, values in {"requests": requests, **served._asdict()}.items():
            totals[name] += np.bincount(network.type_service, values, minlength=count)
    each = per_request(totals["requests"])
    columns = {
        "requests": totals["requests"],
        "gain": totals["gain"],
        "latency_ms": totals["latency"] * each,
        "inaccuracy": totals["inaccuracy"] * each,
        "missed": totals["missed"] * each,
    }
    rows = [
        {"service": service.name, **{key: float(column[i]) for key, column in columns.items()}}
        for i, service in enumerate(network.scenario.offered)
    ]
    for row, service in zip(rows, network.scenario.offered, strict=True):
        if service.counted_deadline is None:
            del row["missed"]
    return rows
