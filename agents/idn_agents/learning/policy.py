"""Policies: networks that give every placement a score, and a state its value."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from idn_agents.learning.features import NAMES, Features, Observation
from idn_gym.model.network import Network

Tensor = torch.Tensor

SHARPNESS = 6.0  # standard deviation of the scores at a node: a draw strays from their order near its edge alone
RESIDUAL = 0.5  # weight of the log state in a score, before it is brought to that deviation
_STATE = NAMES.index("state")


class PlacementPolicy(nn.Module):
    """One small network for all placements: its weights run on any inference delivery network.

    A placement's features are embedded; embeddings are averaged over its group, its node and its task; what comes of
    its own and of the three averages, plus a multiple of the log state of mirror descent, is its score: untrained it
    ranks by that state, blurred by the noise of its weights. Relabelling nodes, models or types relabels the scores and
    nothing else. The value of a state comes from the features' averages over placements.

    Parameters
    ----------
    hidden : width of its layers.

    Source: Zaheer et al., Deep Sets, 2017.
    """

    kind = "placement"

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.hidden = hidden
        self.embed = nn.Linear(len(NAMES), hidden)
        self.own = nn.Linear(hidden, hidden)
        self.pooled = nn.ModuleList([nn.Linear(hidden, hidden, bias=False) for _ in range(3)])
        self.score = nn.Linear(hidden, 1, bias=False)
        self.critic = nn.Sequential(nn.Linear(len(NAMES), hidden), nn.Tanh(), nn.Linear(hidden, 2))
        nn.init.normal_(self.score.weight, std=0.1)

    def config(self) -> dict[str, Any]:
        """What it takes to build it again, as JSON values."""
        return {"kind": self.kind, "hidden": self.hidden, "features": list(NAMES)}

    def view(self, network: Network, rows: int, device: torch.device | str = "cpu") -> View:
        """What it sees of a batch of environments on a network."""
        return View(network, rows, device)

    def forward(self, seen: Tensor, view: View) -> Tensor:
        """Scores (B, P) from features (B, P, F)."""
        embedded = torch.relu(self.embed(seen.transpose(0, 1)))  # (P, B, H): pooling then adds whole rows of memory
        mixed = self.own(embedded)
        for pooled, (index, count) in zip(self.pooled, view.pools, strict=True):
            mixed = mixed + pooled(_averages(embedded, index, count))[index]
        scores: Tensor = self.score(torch.relu(mixed)).squeeze(-1)  # (P, B)
        scores = scores + RESIDUAL * torch.log(seen[:, :, _STATE].clamp(min=1e-3)).t()
        return (SHARPNESS * view.standardised(scores)).t().contiguous()

    def value(self, seen: Tensor, view: View) -> Tensor:
        """(B, 2) expected return, and expected gain of the filling without noise, from features (B, P, F)."""
        found: Tensor = self.critic(seen.mean(1))
        return found


class View(Features):
    """Features, and what is pooled over: group, node and task of every placement."""

    def __init__(self, network: Network, rows: int, device: torch.device | str = "cpu") -> None:
        super().__init__(network, rows, device)
        task = torch.as_tensor(network.model_task[network.placement_model].astype(np.int64), device=device)
        grouped = network.V * network.N
        self._fitting = torch.as_tensor(np.array(network.fits), dtype=torch.float32, device=device)[:, None]
        self._of_node = torch.bincount(self._node[self._fitting[:, 0] > 0], minlength=network.V).clamp(min=1)[:, None]
        self.pools = ((self._group, grouped), (self._node, network.V), (task, network.N))

    def standardised(self, scores: Tensor) -> Tensor:
        """Scores (P, B), those of what fits at a node brought to mean 0 and standard deviation 1."""

        def average(values: Tensor) -> Tensor:
            total = values.new_zeros(self.network.V, values.shape[1]).index_add(0, self._node, values * self._fitting)
            return (total / self._of_node)[self._node]

        centred = scores - average(scores)
        return centred / torch.sqrt(average(centred**2) + 1e-6)


class FlatPolicy(nn.Module):
    """The ordinary baseline: a multilayer perceptron on the whole observation, for one network.

    Parameters
    ----------
    inputs, outputs : R + 2P and P of the network.
    hidden : widths of its layers.
    activation : ``tanh`` or ``relu``.
    """

    kind = "flat"

    def __init__(self, inputs: int, outputs: int, hidden: tuple[int, ...] = (64, 64), activation: str = "tanh") -> None:
        super().__init__()
        self.inputs, self.outputs, self.hidden, self.activation = inputs, outputs, tuple(hidden), activation
        self.actor = perceptron((inputs, *self.hidden, outputs), activation)
        self.critic = perceptron((inputs, *self.hidden, 2), activation)

    def config(self) -> dict[str, Any]:
        """What it takes to build it again, as JSON values."""
        sizes = {"inputs": self.inputs, "outputs": self.outputs, "hidden": list(self.hidden)}
        return {"kind": self.kind, **sizes, "activation": self.activation}

    def view(self, network: Network, rows: int, device: torch.device | str = "cpu") -> FlatView:
        """What it sees of a batch of environments on a network."""
        return FlatView(network, device)

    def forward(self, seen: Tensor, view: FlatView) -> Tensor:
        """Scores (B, P)."""
        scores: Tensor = self.actor(seen)
        return scores

    def value(self, seen: Tensor, view: FlatView) -> Tensor:
        """(B, 2) expected return, and expected gain of the filling without noise."""
        found: Tensor = self.critic(seen)
        return found


class FlatView:
    """The observation as one vector (B, R + 2P): shares of requests, shares of nominal capacities, what is placed."""

    def __init__(self, network: Network, device: torch.device | str = "cpu") -> None:
        self.network = network
        self._nominal = torch.as_tensor(np.maximum(network.capacities, 1e-9), dtype=torch.float32, device=device)

    @staticmethod
    def width(network: Network) -> int:
        """R + 2P."""
        return network.R + 2 * network.P

    def forget(self, rows: Tensor) -> None:
        """Nothing to forget."""

    def see(self, observation: Observation) -> Tensor:
        """(B, R + 2P) float32; requests as shares times R, so that 1 is the average."""
        requests = observation["requests"].float()
        share = requests / requests.sum(1, keepdim=True).clamp(min=1.0) * self.network.R
        return torch.cat(
            [share, observation["capacities"].float() / self._nominal, observation["allocation"].float()], 1
        )


def perceptron(widths: tuple[int, ...], activation: str) -> nn.Sequential:
    """Linear layers of these widths with an activation between them."""
    kind = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    layers: list[nn.Module] = []
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), kind()]
    return nn.Sequential(*layers[:-1])


def _averages(values: Tensor, index: Tensor, count: int) -> Tensor:
    """(count, B, H) averages of values (P, B, H) over the placements of each index."""
    total = values.new_zeros(count, *values.shape[1:]).index_add(0, index, values)
    return total / torch.bincount(index, minlength=count).clamp(min=1)[:, None, None]
