"""The network of a page, by tier, and what each node holds from slot to slot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from idn_gym.common.text import printable
from idn_gym.env.rendering import arranged, task_colours
from idn_gym.model.network import Network
from idn_gym.report.page.settings import short
from idn_gym.typing import IntArray

Placed = Iterable[tuple[int, IntArray]]  # (slot, allocation (P,)) wherever it changed

_MOST_SLOTS = 240  # that the slider stops at
_MOST_NODES = 24  # side by side; of a larger tier several share a cell


def picture(network: Network, changes: Mapping[str, Placed], slots: int, room: int) -> dict[str, Any]:
    """What a slider through slots shows.

    Parameters
    ----------
    changes : agent -> what it placed, wherever it changed.
    room : numbers that all its frames may take; where they would take more, it stops at fewer slots.

    Returns
    -------
    ``rows`` of ``cells`` of nodes from the top tier down, ``links`` between nodes, ``nodes``, ``tasks`` with colours,
    ``placed``: node, model, task and MB of every placement that any agent held, ``stops``: slots, counted from 0, and
    ``frames``: per agent and stop which of ``placed`` are held where they were not at the stop before, or the reverse.
    """
    rows, links = arranged(network, most_cells=_MOST_NODES)
    stops = np.unique(np.linspace(0, slots - 1, min(slots, _MOST_SLOTS)).astype(int))
    held = {agent: _held(of_agent, stops) for agent, of_agent in changes.items()}
    used = np.unique(np.concatenate([placed for of_agent in held.values() for placed in of_agent]))
    kept = np.arange(len(stops))
    while True:
        frames = {agent: _frames([of_agent[n] for n in kept], used) for agent, of_agent in held.items()}
        if len(kept) < 3 or sum(len(frame) for of_agent in frames.values() for frame in of_agent) <= room:
            break
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, (len(kept) + 1) // 2).astype(int))]
    tasks = task_colours(network)
    return {
        "rows": [{"name": row.name, "cells": [cell.tolist() for cell in row.cells]} for row in rows],
        "links": links.tolist(),
        "nodes": [
            {
                "name": printable(node.name),
                "tier": int(network.tiers[v]),
                "processor": printable(node.processor),
                "budget": short(node.budget),
                "repository": bool(node.repository),
            }
            for v, node in enumerate(network.scenario.nodes)
        ],
        "tasks": [
            {"name": printable(task), "colour": "#" + "".join(f"{round(255 * part):02x}" for part in colour)}
            for task, colour in tasks
        ],
        "placed": [
            [
                int(network.placement_node[p]),
                printable(network.model_names[m := network.placement_model[p]]),
                min(int(network.model_task[m]), len(tasks) - 1),  # those without a colour of their own share the last
                short(float(network.sizes[p])),
            ]
            for p in used
        ],
        "slots": slots,
        "stops": stops[kept].tolist(),
        "frames": frames,
    }


def _held(changes: Placed, stops: IntArray) -> list[IntArray]:
    """Per stop the placements that are held; gone through once, since all that a long run placed may be much."""
    held: list[IntArray] = []
    now: IntArray = np.zeros(0, dtype=np.int64)
    for slot, allocation in changes:
        while len(held) < len(stops) and stops[len(held)] < slot:
            held.append(now)
        now = np.flatnonzero(allocation)
    return held + [now] * (len(stops) - len(held))


def _frames(held: Sequence[IntArray], used: IntArray) -> list[list[int]]:
    """Per stop which placements, by their numbers among those used, differ from the stop before."""
    none: IntArray = np.zeros(0, dtype=np.int64)
    return [np.searchsorted(used, np.setxor1d(one, before)).tolist() for before, one in pairwise([none, *held])]
