"""What fills the memory of each tier: the data of `plots.allocation_per_tier`."""

from __future__ import annotations

import numpy as np

from idn_gym.model.network import Network
from idn_gym.typing import FloatArray

_MOST_VARIANTS = 12


def variant_shares(network: Network, allocation: FloatArray) -> tuple[list[str], dict[str, FloatArray]]:
    """The share of each tier's memory budget that holds each variant, for one agent.

    Parameters
    ----------
    allocation : (P,) one allocation, or the average of those of a run.

    Returns
    -------
    The names of the tiers that have a memory budget, the top one first; and for each variant (a model's name less its
    task, replicas together), the most accurate first, the share of each of those tiers' budget. Beyond twelve
    variants, those that hold the least memory are one: ``others``.
    """
    budgets = np.bincount(network.tiers, network.budgets)
    tiers = np.flatnonzero(budgets > 0.0)
    names = [network.scenario.models[m].variant for m in network.model_base]
    variants = list(dict.fromkeys(names))
    of_model = np.array([variants.index(name) for name in names])
    of_placement = of_model[network.placement_model]
    cell = network.tiers[network.placement_node] * len(variants) + of_placement
    mb = np.bincount(cell, network.sizes * allocation, minlength=len(budgets) * len(variants))
    shares = mb.reshape(len(budgets), len(variants))[tiers].T / budgets[tiers]
    placements = np.maximum(np.bincount(of_placement, minlength=len(variants)), 1)
    inaccuracy = np.bincount(of_placement, network.inaccuracies, minlength=len(variants)) / placements
    ranked = np.argsort(inaccuracy, kind="stable")
    kept = set(np.argsort(-mb.reshape(len(budgets), -1).sum(axis=0), kind="stable")[:_MOST_VARIANTS].tolist())
    result = {variants[i]: shares[i] for i in ranked if i in kept}
    if len(variants) > _MOST_VARIANTS:
        result["others"] = shares[[i for i in range(len(variants)) if i not in kept]].sum(axis=0)
    nodes = np.bincount(network.tiers)
    return [f"tier {t}\n{nodes[t]} node{'s' if nodes[t] > 1 else ''}" for t in tiers], result
