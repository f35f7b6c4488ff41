"""``bc`` and ``awr``: a policy from a dataset, without an environment.

Behaviour cloning makes what was placed as probable as it can. Advantage-weighted regression does the same, with slots
weighted by exp(advantage / temperature): what gained more than usual is imitated more. An action has influence on its
own slot and on what the next one has to load, no more; the advantage is that of its own slot, as with a discount of 0.

Teachers mostly keep what they hold. Who learns from them that what is held is placed again, holds whatever it began
with (de Haan et al., 2019). Where loading is free nothing that is right depends on what is held, so it is hidden.

Sources: Pomerleau, ALVINN, 1989; Peng et al., Advantage-Weighted Regression, 2019; de Haan et al., Causal Confusion in
Imitation Learning, 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from idn_agents.learning.checkpoint import Course
from idn_agents.learning.features import NAMES
from idn_agents.learning.limits import refuse_priced
from idn_agents.learning.orders import Orders
from idn_agents.learning.policy import FlatPolicy, PlacementPolicy
from idn_agents.learning.ppo_torch import Reference
from idn_agents.learning.threads import one_thread
from idn_gym import batched
from idn_gym.common import parameters
from idn_gym.common.parameters import one_of, real, whole
from idn_gym.datasets import Episodes
from idn_gym.errors import IdnError
from idn_gym.model.network import Network

Tensor = torch.Tensor
ALGORITHMS = ("bc", "awr")
_HELD = [NAMES.index(name) for name in ("gain_at_held", "group_gain_at_held", "held")]
_LARGEST = 20.0  # weight of a slot
_MOST_VALUES = 2**30  # of all features, in float32: 4 GiB


@dataclass(frozen=True, kw_only=True)
class Offline:
    """What learning from a dataset depends on, besides the dataset and the seed."""

    algo: str = "bc"
    epochs: int = 10  # passes over the dataset
    batch: int = 64  # slots
    learning_rate: float = 3e-3  # falls linearly to 0
    temperature: float = 0.3  # of awr, in standard deviations of the advantage
    held: bool | None = None  # whether the policy sees what is held; None: where loading costs

    def __post_init__(self) -> None:
        one_of("algo", self.algo, ALGORITHMS)
        whole("epochs", self.epochs, highest=10**6)
        whole("batch", self.batch, highest=2**20)
        real("learning_rate", self.learning_rate, highest=1.0)
        if real("temperature", self.temperature, highest=1e6) < 1e-3:
            raise IdnError(f"temperature: {self.temperature:g}; must be 0.001 to 1000000")


class OfflineTrainer(Course):
    """Trains a policy on episodes, pass by pass: ``for row in OfflineTrainer(...).chapters(): ...``.

    Nodes count as filled in the order of the policy's own scores, whatever order the teacher had: with Plackett and
    Luce's model no other order of the same placements is more probable.

    Parameters
    ----------
    policy : improved in place, all but its critic.

    Raises
    ------
    IdnError
        If the network has prices, is not one of the policy's, or the dataset is too large to hold.
    """

    def __init__(
        self,
        episodes: Episodes,
        policy: PlacementPolicy | FlatPolicy,
        options: Offline,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.options, self.seed, self.device = options, parameters.seed(seed), torch.device(device)
        super().__init__(policy.to(self.device), options.learning_rate, options.epochs, episodes.slots)
        self.network = Network.compile(episodes.scenario)
        refuse_priced(self.network, "training")
        self._slots = episodes.slots
        self._view = policy.view(self.network, 1, self.device)
        self._orders = Orders(self.network, self.device)
        with one_thread(), torch.no_grad():
            self._seen, self._placed = self._features(episodes)
            if not (episodes.update_weight > 0 if options.held is None else options.held):
                hide_held(self.policy, self._seen)
        if options.algo == "awr":
            weights = advantage_weights(gained(self.network, episodes), options.temperature)
        else:
            weights = np.ones(self._slots)
        self._weights = torch.as_tensor(weights, dtype=torch.float32, device=self.device)

    @one_thread()
    def play(self) -> dict[str, float]:
        """Once through all slots, in an order of its own."""
        (word,) = np.random.SeedSequence([self.seed, self.chapter]).generate_state(1)
        order = torch.from_numpy(np.random.default_rng(word).permutation(self._slots)).to(self.device)
        batches = torch.split(order, self.options.batch)
        loss_sum, agreed, weight_sum, placed_sum = 0.0, 0.0, 0.0, 0.0
        for i, rows in enumerate(batches):
            for group in self.optimiser.param_groups:
                done = (self.chapter + i / len(batches)) / self.options.epochs
                group["lr"] = self.options.learning_rate * (1.0 - done)
            placed, weight = self._placed.index_select(0, rows), self._weights.index_select(0, rows)
            scores = self.policy(self._seen.index_select(0, rows), self._view)
            fixed = scores.detach().contiguous()
            log_probability, _ = self._orders.log_probability(scores, self._orders.filling(fixed, placed))
            loss = -(weight * log_probability).mean()
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 10.0)
            self.optimiser.step()
            chosen = batched.pack(self.network, fixed, check=False)
            loss_sum += float(loss.detach()) * len(rows)
            weight_sum += len(rows)
            agreed += float((weight * (chosen & placed).sum(1)).sum())
            placed_sum += float((weight * placed.sum(1)).sum())
        return {"loss": loss_sum / weight_sum, "agreement": agreed / max(placed_sum, 1e-9)}

    def _features(self, episodes: Episodes) -> tuple[Tensor, Tensor]:
        """What the policy's view gives of every slot (N, ...), and what was placed in it (N, P) int8."""
        kept: list[Tensor] = []
        placed: list[Tensor] = []
        values = 0
        for _, together in groupby(episodes.observations, key=lambda each: len(each["requests"])):
            group = list(together)
            view = self.policy.view(self.network, len(group), self.device)
            tensors = {
                key: torch.as_tensor(np.stack([each[key] for each in group], axis=1), device=self.device)
                for key in group[0]
            }
            seen = []
            for t in range(len(tensors["requests"]) - 1):
                seen.append(view.see({key: each[t] for key, each in tensors.items()}))
                values += seen[-1].numel()
                if values > _MOST_VALUES:
                    raise IdnError(f"dataset: features of {episodes.slots} slots; at most {_MOST_VALUES} numbers")
            kept.append(torch.stack(seen, dim=1).flatten(0, 1))  # episode by episode
            placed.append(tensors["allocation"][1:].transpose(0, 1).flatten(0, 1).to(torch.int8))
        return torch.cat(kept), torch.cat(placed)


def hide_held(policy: PlacementPolicy | FlatPolicy, seen: Tensor) -> None:
    """Take from a policy's features all that depends on what is held, and from its scores their weight in them.

    No gradient comes to such weights: trained on these features, the policy ignores what is held wherever it plays.
    """
    if isinstance(policy, PlacementPolicy):
        columns, weights = _HELD, policy.embed.weight
    else:
        columns, weights = list(range(policy.inputs - policy.outputs, policy.inputs)), next(policy.actor.parameters())
    seen[..., columns] = 0.0
    weights[:, columns] = 0.0


def gained(network: Network, episodes: Episodes) -> np.ndarray[Any, Any]:
    """(N, 2) per slot: the reward per request, and what the even fraction of everything gains on the same requests."""
    reference = Reference(network, torch.device("cpu"))
    found = []
    for observations, rewards in zip(episodes.observations, episodes.rewards, strict=True):
        served = {key: torch.as_tensor(each[1:].astype(np.float32)) for key, each in observations.items()}
        even = reference.gain_per_request(served, reference.even.expand(len(rewards), -1).contiguous())
        counts = np.maximum(observations["requests"][1:].sum(1), 1.0)
        each = rewards / counts if episodes.reward == "gain" else rewards
        found.append(np.stack([each, even.numpy()], axis=1))
    return np.concatenate(found)


def advantage_weights(gains: np.ndarray[Any, Any], temperature: float) -> np.ndarray[Any, Any]:
    """(N,) weights of mean 1: exp(A / temperature), A in standard deviations, none 20 times as large as that of A = 0.

    The advantage is what a slot gained above the least-squares line through `gained`: a baseline on which no
    action has an influence, nor what was held before.
    """
    reward, even = gains.T
    columns = np.stack([np.ones_like(even), even], axis=1)
    advantage = reward - columns @ np.linalg.lstsq(columns, reward, rcond=None)[0]
    spread = advantage.std()
    if spread <= 1e-9 * max(1.0, float(np.abs(reward).max())):
        return np.ones_like(reward)
    weights = np.exp(np.minimum(advantage / (spread * temperature), np.log(_LARGEST)))
    return np.asarray(weights / weights.mean())
