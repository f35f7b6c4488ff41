"""What each node holds, how full it is and who serves the requests: as an image, and as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from idn_gym.allocation import memory_in_use
from idn_gym.network import Network
from idn_gym.plots import FAINT, INK, literal, new_figure
from idn_gym.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can tell apart; then the same lighter, then darker
_HUES = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#F0E442", "#CC79A7")
_SHADES = (0.0, 0.5, -0.45)
_OTHER = "#9a9a9a"
_MOST_ROWS, _MOST_CELLS = 10, 32
_LEFT, _RIGHT, _HEAD, _ROW, _TANK = 150, 190, 56, 158, 76  # pixels


def draw(network: Network, allocation: FloatArray, slot: int, by_node: FloatArray) -> NDArray[np.uint8]:
    """Draw the network by tier: each node a tank, filled with what its models take of its memory, coloured by task.

    A tier of many nodes is drawn as cells of several nodes each, many tiers as rows of several, so that a network of
    any size stays readable. The size of the image depends on the network alone.

    Parameters
    ----------
    allocation : (P,) in [0, 1], what is placed.
    slot : slots served so far.
    by_node : (V,) requests that each node served in the last slot.

    Returns
    -------
    (H, W, 3) uint8; H and W are multiples of 16, as video encoders like them.

    Raises
    ------
    IdnError
        If matplotlib is not installed.
    """
    raise NotImplementedError


def describe(network: Network, allocation: FloatArray, slot: int, by_node: FloatArray) -> str:
    """The same as plain text; parameters as for `draw`."""
    raise NotImplementedError
