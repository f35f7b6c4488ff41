"""What training may be asked for: ranges of the options that all learners share, and how much they may hold at once."""

from __future__ import annotations

from typing import Any

from idn_gym.common.parameters import real, whole
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.workload.stream import BLOCK

MOST_UPDATE_WEIGHT = 1e6  # ms per MB: rewards are float32, and squared
_MOST_VALUES = 2**31  # of a batch, in float32: 8 GiB


def refuse_options(options: Any) -> None:
    """Raise an `IdnError` unless what learners share is in range: their steps, environments, rates and prices."""
    whole("steps", options.steps, highest=10**12)
    whole("envs", options.envs, highest=2**16)
    whole("slots", options.slots, highest=10**6)
    real("learning_rate", options.learning_rate, highest=1.0)
    real("discount", options.discount, highest=1.0)
    real("update_weight", options.update_weight, highest=MOST_UPDATE_WEIGHT)


def refuse_priced(network: Network, who: str) -> None:
    """Raise an `IdnError` where holding has a price: learnt policies rank placements and fill nodes to the brim."""
    if network.priced:
        raise IdnError(
            f"{who}: learnt policies fill every node to the brim, whatever that costs; scenario "
            f"{network.scenario.name} has prices and price_weight {network.scenario.price_weight:g}, which must be 0"
        )


def refuse_untrainable(network: Network, envs: int, seen: int) -> None:
    """Raise an `IdnError` if a network has prices, or environments, each of which sees so many values, are too many."""
    refuse_priced(network, "training")
    values = envs * (2 * BLOCK * network.R + seen)
    if values > _MOST_VALUES:
        raise IdnError(f"envs: {envs}, of which {values} values are kept at a time; at most {_MOST_VALUES}")
