"""Requests and capacities from a class of one's own; docs/how-to/own-workload.md."""

from __future__ import annotations

import numpy as np

from idn_gym import plugins, sources
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Own
from idn_gym.typing import FloatArray
from idn_gym.workload.trace import LARGEST


class OwnProcess:
    """An object with ``draw(network, slots, generator)``, made for one stream, and asked for a block after the other.

    Parameters
    ----------
    section : names its class, and holds what its constructor is given.
    group : `plugins.WORKLOADS`, for requests (slots, R), or `plugins.CAPACITIES`, for capacities (slots, P).

    Raises
    ------
    IdnError
        If there is no such class, it does not take what it is given, or has no method `draw`.
    """

    def __init__(self, network: Network, section: Own, group: str) -> None:
        self._process = plugins.make(group, section.kind, section.parameters, ("draw",))
        requests = group == plugins.WORKLOADS
        self._network, self._width = network, network.R if requests else network.P
        self._axes = "slots, request types" if requests else "slots, placements"
        self._who = f"{'workload' if requests else 'capacity'} {section.kind}"

    def next_block(self, slots: int, generator: np.random.Generator) -> FloatArray:
        """(slots, R) requests, or (slots, P) capacities, of the coming slots.

        Raises
        ------
        IdnError
            If `draw` fails, or returns anything but so many finite numbers from 0 to `trace.LARGEST`.
        """
        try:
            drawn = self._process.draw(self._network, slots, generator)
        except (IdnError, MemoryError):
            raise
        except Exception as error:
            raise IdnError(f"{self._who}: draw failed: {sources.fault(error)}") from error
        try:
            block = np.array(drawn, dtype=np.float64, order="C")  # whichever way round it came
        except (TypeError, ValueError):
            raise IdnError(f"{self._who}: draw returned {type(drawn).__name__}, not an array of numbers") from None
        if block.shape != (slots, self._width):
            allowed = f"({slots}, {self._width}): {self._axes}"
            raise IdnError(f"{self._who}: draw returned shape {block.shape}; must be {allowed}")
        if not (allowed_values := (block >= 0.0) & (block <= LARGEST)).all():  # nan is neither
            value = block[~allowed_values][0]
            raise IdnError(f"{self._who}: draw returned {value:g}; must be finite numbers >= 0, at most {LARGEST:g}")
        return block
