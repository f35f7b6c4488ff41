"""The distribution of a learner's actions: scores say in which order nodes are likely to be filled.

At every node one placement after the other is drawn from what still fits, with probability in proportion to the
exponential of its score (Plackett and Luce). Adding Gumbel noise to the scores and packing gives such a draw, so
`batched.pack` is the decoder in training as in evaluation, where there is no noise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from idn_agents.learning.orders_kernel import order_probability, turns
from idn_agents.learning.portable_orders import PortableOrders
from idn_gym import batched
from idn_gym.model.network import Network

Tensor = torch.Tensor


class Filling(NamedTuple):
    """How nodes were filled: all that the probability of it depends on."""

    allocation: Tensor  # (B, P) int8
    turns: Tensor  # (B, P) int16: draws at its node in which a placement was among what still fitted

    def rows(self, index: Tensor) -> Filling:
        """Those of some environments."""
        return Filling(self.allocation.index_select(0, index), self.turns.index_select(0, index))


class Orders:
    """Draws fillings of a network's nodes, and says how probable they were.

    Parameters
    ----------
    portable : keep to PyTorch's own operations on the CPU too, as on every other device.
    """

    def __init__(self, network: Network, device: torch.device | str = "cpu", portable: bool = False) -> None:
        self.network = network
        on_cpu = torch.device(device).type == "cpu"
        self._portable = PortableOrders(network, device) if portable or not on_cpu else None

    def draw(self, scores: Tensor, generator: torch.Generator) -> Filling:
        """Draw a filling of each environment for scores (B, P)."""
        uniform = torch.rand(scores.shape, generator=generator, device=scores.device)
        priority = (scores - uniform.clamp_(1e-20, 1.0 - 1e-7).log_().neg_().log_()).contiguous()
        return self.filling(priority, batched.pack(self.network, priority, check=False))

    def filling(self, priority: Tensor, allocation: Tensor) -> Filling:
        """Nodes filled with allocations (B, P), in descending order of the priority (B, P) of what is placed."""
        if self._portable:
            return Filling(allocation, self._portable.turns(priority, allocation))
        return Filling(allocation, torch.from_numpy(turns(self.network, priority.numpy(), allocation.numpy())))

    def log_probability(self, scores: Tensor, filling: Filling) -> tuple[Tensor, Tensor]:
        """Log-probability (B,) of fillings under scores (B, P), and the entropies of their draws, summed (B,)."""
        if self._portable:
            return self._portable.probability(scores, *filling)
        found: tuple[Tensor, Tensor] = _Probability.apply(scores, filling, self.network)  # type: ignore[no-untyped-call]
        return found


class _Probability(torch.autograd.Function):
    """`orders_kernel.order_probability` with its slopes as derivatives."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, filling: Filling, network: Network) -> Any:
        """Log-probability and entropy, both (B,)."""
        wide = scores if scores.dtype in (torch.float32, torch.float64) else scores.float()
        arrays = (values.detach().numpy() for values in (wide, *filling))
        found = [torch.from_numpy(values) for values in order_probability(network, *arrays)]
        ctx.save_for_backward(*found[2:])
        return found[0].to(scores.dtype), found[1].to(scores.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, log_probability: Tensor, entropy: Tensor) -> Any:
        """Of the scores alone."""
        slope, entropy_slope = ctx.saved_tensors
        return torch.addcmul(log_probability[:, None] * slope, entropy[:, None], entropy_slope), None, None
