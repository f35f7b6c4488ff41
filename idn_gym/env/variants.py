"""Variants: environments of one batch that differ in rates, budgets and capacities."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from idn_gym.common import parameters
from idn_gym.env import arguments
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Replay

# what environments of one batch share, and all of the service: whatever else a variant changes would go unseen
_SHARED = ("sizes", "placement_group", "inaccuracies", "prices", "tiers", "type_entry", "type_service", "timed")


def networks_of(rows: int, scenario: Any, overrides: Any, variants: Any, network: Network) -> list[Network]:
    """A network per environment; all of one shape, compiled once for each different set of overrides."""
    if variants is None:
        return [network] * rows
    if not isinstance(variants, list | tuple):
        raise IdnError(f"variants: {parameters.shown(variants)}; must be a list of {rows} sets of overrides")
    if len(variants) != rows:
        raise IdnError(f"variants: {len(variants)} of them; must be {rows}, one per environment")
    found: dict[str, Network] = {repr([]): network}
    keys = []
    for i, variant in enumerate(variants):
        try:
            changes = arguments.changes_of("overrides", variant)
            keys.append(repr(sorted(changes.items())))
            if keys[-1] not in found:
                found[keys[-1]] = _alike(network, Network.compile(arguments.resolve(scenario, overrides, changes)))
        except IdnError as error:
            raise IdnError(f"variants[{i}]: {error}") from None
    return [found[key] for key in keys]


def _alike(network: Network, variant: Network) -> Network:
    """The network of a variant, if it changes nothing but rates, budgets and capacities."""
    pairs: list[tuple[object, object, str]] = [(network, variant, name) for name in _SHARED]
    own = [field.name for field in fields(network.service) if field.name != "placements"]  # type: ignore[arg-type]
    pairs += [(network.service, variant.service, name) for name in own]
    changed = [name for one, other, name in pairs if not np.array_equal(getattr(one, name), getattr(other, name))]
    ours, theirs = network.scenario, variant.scenario
    own = ["accuracy_weight", "price_weight", "horizon"]
    changed += [name for name in own if getattr(ours, name) != getattr(theirs, name)]
    if Replay in {type(ours.workload), type(theirs.workload)} and ours.workload != theirs.workload:
        changed.append("workload, which replays a trace")
    if changed:
        raise IdnError(f"changes {changed[0]}; may change rates, budgets and capacities only")
    return variant
