"""Networks cut in two: heads on a device, in fewer bits, and the tails that follow them, from a table of layers.

A head is a cut and the bits of what is sent for it: the weights of its layers, and the values that cross the cut. It is
one model of a chain's first stage; the tail of its cut, in 32 bits, is one of the second.

Source: QPART, arXiv 2506.23934. The loss of accuracy, uniform quantisers' noise, is this library's model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray, IntArray

FLOAT_BITS = 32  # of a number as it is
_MOST_BITS = 64


@dataclass(frozen=True)
class Layer:
    """A layer of a network, and how sensitive accuracy is to the noise of its weights and of its outputs."""

    name: str
    mega_macs: float  # multiplications, millions
    weights: float  # how many
    outputs: float  # how many values it hands on
    weight_sensitivity: float = 1.0
    output_sensitivity: float = 1.0


@dataclass(frozen=True)
class Machine:
    """A kind of processor."""

    gmacs: float  # 1e9 multiplications/s
    start_ms: float = 0.0  # that any part of a network takes beside them
    at_once: int = 1  # requests


@dataclass(frozen=True)
class Head:
    """A cut, and bits: of the weights of each layer before it, and last of the values that cross it."""

    name: str
    bits: tuple[int, ...]

    @property
    def cut(self) -> int:
        """Layers on the device; without any, the input is sent."""
        return len(self.bits) - 1


# A mobile image classifier for 224 x 224 pixels in seven parts, rounded; made up, after networks of its kind.
MOBILE_INPUTS = 150_528.0
MOBILE_LAYERS = (
    Layer("stem", 11.0, 1e3, 401e3),
    Layer("112", 29.0, 3e3, 803e3),
    Layer("56", 82.0, 27e3, 401e3),
    Layer("28", 79.0, 104e3, 201e3),
    Layer("14", 294.0, 1.5e6, 100e3),
    Layer("7", 78.0, 1.6e6, 50e3),
    Layer("classes", 1.0, 1.0e6, 1e3),
)


def quantisers_noise(sensitivities: FloatArray, bits: FloatArray | IntArray) -> float:
    """Degradation, as a share of 1: sum_l k_l 4^-b_l, of uniform quantisers of so many bits; (L,) each."""
    return float((sensitivities * 4.0**-bits).sum())


def split_models(
    app: str,
    layers: Sequence[Layer],
    inputs: float,
    accuracy: float,
    heads: Iterable[Head],
    machines: Mapping[str, Machine],
    *,
    input_sensitivity: float = 1.0,
    working_mb: float = 1.0,
) -> list[dict[str, Any]]:
    """The `models` of a scenario file: every head, of task ``app-head``, and the tails of its cuts, of ``app-tail``.

    Heads are named ``app/cutP-NAME`` and tails ``app/tailP``, P the layers on the device. What crosses the cut is the
    head's `output_mb`, the tail's `after` names its heads, and a head has the accuracy of 100 less what it loses: the
    tail has the network's, and a chain's inaccuracies add up.

    Parameters
    ----------
    inputs : values of a request, which cross the cut where no layer is on the device.
    accuracy : of the network as it is, percentage points.
    machines : by the name of their processor.
    working_mb : MB that a part takes beside its weights.

    Raises
    ------
    IdnError
        If a head has more bits than there are layers and what crosses the cut, or less than 1 or more than 64; if two
        have one cut and name; or if one loses more than there is.

    Examples
    --------
    >>> layer = Layer("all", mega_macs=10.0, weights=1e6, outputs=1e3)
    >>> head, tail = split_models("cars", [layer], 4e3, 70.0, [Head("4bit", (4, 8))], {"phone": Machine(1.0)})
    >>> head["name"], head["output_mb"], head["profiles"]["phone"]["size"], tail["after"]
    ('cars/cut1-4bit', 0.001, 1.5, ['cars/cut1-4bit'])
    """
    found, tails = dict[str, dict[str, Any]](), dict[int, list[str]]()
    for head in heads:
        name = f"{app}/cut{head.cut}-{head.name}"
        if not 0 <= head.cut <= len(layers) or not all(1 <= bits <= _MOST_BITS for bits in head.bits):
            allowed = f"1 to {len(layers) + 1} numbers of bits, 1 to {_MOST_BITS} each"
            raise IdnError(f"head {head.name!r}: bits {head.bits}; must be {allowed}")
        if name in found:
            raise IdnError(f"head {head.name!r}: two of cut {head.cut}; names of one cut must differ")
        before, bits = layers[: head.cut], np.array(head.bits)
        values = before[-1].outputs if before else inputs
        sensitivities = [layer.weight_sensitivity for layer in before]
        sensitivities += [before[-1].output_sensitivity if before else input_sensitivity]
        loss = 100.0 * quantisers_noise(np.array(sensitivities), bits) if (bits < FLOAT_BITS).any() else 0.0
        if loss > accuracy:
            raise IdnError(
                f"head {head.name!r}: bits {head.bits} lose {loss:.4g} points of an accuracy of {accuracy:g}"
            )
        weights = sum(layer.weights * b for layer, b in zip(before, head.bits, strict=False)) / 8e6
        found[name] = {
            "name": name,
            "task": f"{app}-head",
            "accuracy": round(100.0 - loss, 4),
            "output_mb": round(values * head.bits[-1] / 8e6, 6),
            "profiles": _profiles(before, weights + working_mb, machines),
        }
        tails.setdefault(head.cut, []).append(name)
    for cut, after in sorted(tails.items()):
        behind = layers[cut:]
        weights = sum(layer.weights for layer in behind) * FLOAT_BITS / 8e6
        found[f"{app}/tail{cut}"] = {
            "name": f"{app}/tail{cut}",
            "task": f"{app}-tail",
            "accuracy": accuracy,
            "after": after,
            "profiles": _profiles(behind, weights + working_mb, machines),
        }
    return list(found.values())


def _profiles(part: Sequence[Layer], size: float, machines: Mapping[str, Machine]) -> dict[str, dict[str, float]]:
    """Of some layers on each kind of processor: 1e9 multiplications/s are 1e6 a ms; nothing takes less than 1 us."""
    found = {}
    for processor, machine in machines.items():
        delay = max(machine.start_ms + sum(layer.mega_macs for layer in part) / machine.gmacs, 1e-3)
        throughput = round(1000.0 * machine.at_once / delay, 2)
        found[processor] = {"size": round(size, 3), "delay": round(delay, 3), "throughput": throughput}
    return found
