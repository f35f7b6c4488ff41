"""``--algo ppo-torch``: proximal policy optimisation on the batched environment, whose data never leaves the device.

Stable-Baselines3's PPO, ``--algo ppo``, is in `sb3_training`; what plays what either learnt is `agent.Learnt`. Training
goes in chapters: B environments play one episode side by side from fresh seeds, the policy is improved every few slots.
Between chapters only networks and optimiser are kept, so that interrupted training, resumed, gives the same curve.

Source: Schulman et al., Proximal Policy Optimization Algorithms, 2017; advantages after Schulman et al., 2016.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch

from idn_agents.learning.checkpoint import WIDEST, Course, refuse_large
from idn_agents.learning.limits import MOST_UPDATE_WEIGHT, refuse_options, refuse_untrainable
from idn_agents.learning.orders import Filling, Orders
from idn_agents.learning.policy import FlatPolicy, FlatView, PlacementPolicy
from idn_agents.learning.threads import one_thread
from idn_gym import batched, kernels
from idn_gym.common import parameters
from idn_gym.common.parameters import one_of, real, whole
from idn_gym.env.rewards import gain_per_request
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario
from idn_gym.scenario.workloads import Burst, Zipf

Tensor = torch.Tensor
Policy = PlacementPolicy | FlatPolicy
FIRST_SEED = 1_000_000  # training draws its streams from seeds above: those below are there to evaluate on


@dataclass(frozen=True, kw_only=True)
class PPO:
    """What training depends on, besides the scenarios and the seed."""

    steps: int = 100_000  # slots in all, over all environments
    envs: int = 32  # B
    slots: int = 180  # of a chapter
    rollout: int = 16  # slots between updates
    epochs: int = 2  # passes over a rollout
    minibatches: int = 8
    learning_rate: float = 1.5e-3  # falls linearly to 0
    clip: float = 0.2
    discount: float | None = None  # None: 0 where loading is free, as then little is decided for later; else 0.9
    trace: float = 0.9  # lambda of the advantages
    entropy: float = 1e-3
    gradient_norm: float = 0.5
    update_weight: float = 0.0  # ms per request lost per MB loaded
    rates: float = 1.0  # the curriculum ends with rates from 1/rates to rates times the scenario's

    def __post_init__(self) -> None:
        if self.discount is None:
            priced = real("update_weight", self.update_weight, highest=MOST_UPDATE_WEIGHT) > 0.0
            object.__setattr__(self, "discount", 0.9 if priced else 0.0)
        refuse_options(self)
        for name in ("rollout", "epochs", "minibatches"):
            whole(name, getattr(self, name), highest=10**6)
        for name, highest in (("clip", 10.0), ("trace", 1.0), ("entropy", 1e3), ("gradient_norm", 1e6)):
            real(name, getattr(self, name), highest=highest)
        real("rates", self.rates, lowest=1.0, highest=1e6)

    @property
    def chapters(self) -> int:
        """How many there are."""
        return math.ceil(self.steps / (self.envs * self.slots))


@dataclass
class Chapter:
    """B environments, what their policy sees of them, and where they stand."""

    env: Any
    view: Any
    orders: Orders
    reference: Reference
    generator: torch.Generator
    seen: Tensor  # features, or whatever the policy's view gives
    held: Tensor  # (B, P) what is placed


@dataclass
class Rollout:
    """What B environments saw and did over T slots, slots first, then flattened to (T * B, ...)."""

    seen: Tensor  # features, or whatever the policy's view gives
    filling: Filling
    log_probability: Tensor
    advantage: Tensor
    target: Tensor  # (T * B, 2) of the critic


class Trainer(Course):
    """Trains a policy, chapter by chapter: ``for row in Trainer(...).chapters(): ...``.

    From the advantage of a draw is taken what the same scores would have gained in the slot without noise, on the same
    requests, as far as the critic did not foresee it. That depends on no draw, so the gradient stays unbiased, and most
    of what the requests put into it by chance is gone.

    Parameters
    ----------
    scenarios : chapters go through them in turn.
    policy : improved in place.
    device : of the environments and the policy.

    Raises
    ------
    IdnError
        If there is nothing to draw requests from in a scenario, no rate to vary, or too much to hold at once.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        policy: Policy,
        options: PPO,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.scenarios, self.options, self.seed = scenarios, options, parameters.seed(seed)
        self.device = torch.device(device)
        super().__init__(policy.to(self.device), options.learning_rate, options.chapters, options.envs * options.slots)
        self._refuse_what_cannot_be_played()

    @one_thread()
    def play(self) -> dict[str, float]:
        options = self.options
        scenario, variants = self._scenario(), self._variants()
        seeds = np.random.SeedSequence([self.seed, self.chapter])
        stream, draws = (int(word) for word in seeds.generate_state(2))
        generator = torch.Generator(self.device).manual_seed(draws)
        env = self._environments(scenario, options.envs, variants)
        view, orders = self.policy.view(env.network, options.envs, self.device), Orders(env.network, self.device)
        observation, _ = env.reset(seed=FIRST_SEED + stream)
        reference = Reference(env.network, self.device)
        seen, held = view.see(observation), observation["allocation"]
        chapter = Chapter(env, view, orders, reference, generator, seen, held)
        rows = []
        for first in range(0, options.slots, options.rollout):
            length = min(options.rollout, options.slots - first)
            done = self.chapter + first / options.slots
            for group in self.optimiser.param_groups:
                group["lr"] = options.learning_rate * max(0.0, 1.0 - done / options.chapters)
            rollout, played = self._collect(chapter, length)
            rows.append(played | self._improve(rollout, chapter))
        return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}

    def _environments(self, scenario: Scenario, envs: int, variants: list[dict[str, Any]] | None = None) -> Any:
        return gymnasium.make_vec(
            "IDN/Scenario-v0",
            num_envs=envs,
            device=str(self.device),
            scenario=scenario,
            horizon=self.options.slots,
            reward=gain_per_request,  # less update_weight x MB, not per request
            update_weight=self.options.update_weight,
            autoreset_mode="Disabled",
            variants=variants,
        ).unwrapped

    def _refuse_what_cannot_be_played(self) -> None:
        for scenario in self.scenarios:
            if self.options.rates > 1.0:
                self._refuse_rates(scenario)
            env = self._environments(scenario, 1)
            observation, _ = env.reset(seed=FIRST_SEED)
            seen = self.policy.view(env.network, 1, self.device).see(observation).numel()
            refuse_untrainable(env.network, self.options.envs, seen * min(self.options.rollout, self.options.slots))

    def _refuse_rates(self, scenario: Scenario) -> None:
        rates, workload = self.options.rates, scenario.workload
        if not isinstance(workload, Zipf | Burst):
            raise IdnError(f"rates: {rates:g}; scenario {scenario.name} has no rate to vary")
        try:
            self._environments(scenario, 1, [{"workload.rate": workload.rate * rates}])
        except IdnError as error:
            raise IdnError(f"rates: {rates:g}; {error}") from None

    def _collect(self, at: Chapter, length: int) -> tuple[Rollout, dict[str, float]]:
        """Play so many slots with draws from the policy."""
        options, reference, weight = self.options, at.reference, self.options.update_weight
        kept: list[tuple[Tensor, Filling, Tensor]] = []
        values, rewards, evens, noiseless, loads = [], [], [], [], []
        with torch.no_grad():
            for _ in range(length):
                scores = self.policy(at.seen, at.view)
                values.append(self.policy.value(at.seen, at.view))
                filling = at.orders.draw(scores, at.generator)
                kept.append((at.seen, filling, at.orders.log_probability(scores, filling)[0]))
                best = batched.pack(at.orders.network, scores, check=False)
                _, loading = batched.memory(at.orders.network, best, at.held.to(torch.int8))
                observation, reward, _, _, info = at.env.step(filling.allocation)
                even = reference.gain_per_request(observation, reference.even)
                evens.append(even)
                rewards.append(reward.float() - even)
                gained = reference.gain_per_request(observation, best.float())
                noiseless.append(gained - weight * loading.float() - even)
                loads.append(info["model_update_mb"].float())
                at.seen, at.held = at.view.see(observation), observation["allocation"]
            values.append(self.policy.value(at.seen, at.view))
            reward, value, loaded = torch.stack(rewards), torch.stack(values), torch.stack(loads)
            advantage = advantages(reward, value[:, :, 0], options.discount or 0.0, options.trace)
            target = torch.stack([advantage + value[:-1, :, 0], torch.stack(noiseless)], dim=2)
            advantage = advantage - (target - value[:-1])[:, :, 1]
        rollout = Rollout(
            torch.cat([seen for seen, *_ in kept]),
            Filling(*(torch.cat(parts) for parts in zip(*(filling for _, filling, _ in kept), strict=True))),
            torch.cat([log_probability for *_, log_probability in kept]),
            advantage.flatten(),
            target.flatten(0, 1),
        )
        played = {
            "gain_per_request": float((reward + torch.stack(evens) + weight * loaded).mean()),
            "reward": float((reward + torch.stack(evens)).mean()),
            "reward_without_noise": float((torch.stack(noiseless) + torch.stack(evens)).mean()),
            "model_update_mb": float(loaded.mean()),
        }
        return rollout, played

    def _improve(self, rollout: Rollout, at: Chapter) -> dict[str, float]:
        """Some passes of stochastic gradient ascent on the clipped objective."""
        options, n = self.options, len(rollout.advantage)
        target, scale = rollout.target, rollout.target.var(0).clamp(min=1e-6)
        advantage = (rollout.advantage - rollout.advantage.mean()) / (rollout.advantage.std() + 1e-8)
        figures = []
        for _ in range(options.epochs):
            order = torch.randperm(n, generator=at.generator, device=self.device)
            for rows in order.chunk(options.minibatches):
                seen = rollout.seen.index_select(0, rows)  # many times as fast as seen[rows]
                scores = self.policy(seen, at.view)
                log_probability, entropy = at.orders.log_probability(scores, rollout.filling.rows(rows))
                change = log_probability - rollout.log_probability[rows]
                ratio = torch.exp(change)
                clipped = ratio.clamp(1.0 - options.clip, 1.0 + options.clip)
                gained = torch.minimum(ratio * advantage[rows], clipped * advantage[rows]).mean()
                error = ((self.policy.value(seen, at.view) - target[rows]) ** 2 / scale).mean()
                loss = -gained - options.entropy * entropy.mean() + 0.5 * error
                self.optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), options.gradient_norm)
                self.optimiser.step()
                outside = ((ratio - 1.0).abs() > options.clip).float().mean()
                divergence = ((ratio - 1.0) - change).mean()
                figures.append(torch.stack([entropy.mean(), divergence, outside, error]).detach())
        names = ("entropy", "divergence", "clipped", "critic_error")
        return dict(zip(names, torch.stack(figures).mean(0).tolist(), strict=True))

    def _scenario(self) -> Scenario:
        """That of the chapter."""
        return self.scenarios[self.chapter % len(self.scenarios)]

    def _variants(self) -> list[dict[str, Any]] | None:
        """Rates of the environments: spread evenly in the logarithm, more widely from chapter to chapter."""
        if self.options.rates == 1.0:
            return None
        workload = self._scenario().workload
        assert isinstance(workload, Zipf | Burst), "refused at the start"
        widest = min(1.0, 2.0 * (self.chapter + 1) / self.options.chapters)  # reached half-way
        factors = self.options.rates ** (widest * np.linspace(-1.0, 1.0, self.options.envs))
        return [{"workload.rate": float(workload.rate * factor)} for factor in factors]


class Reference:
    """What an allocation that never changes gains on the same requests: the same fraction of everything that fits.

    Taken off the rewards it takes away most of what chance puts into them, and changes nothing else: no action has an
    influence on it.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        even = np.exp(kernels.project(network, np.zeros((1, network.P)), network.spendable))
        self._network, self.even = network, torch.as_tensor(even, dtype=torch.float32, device=device)

    def gain_per_request(self, observation: dict[str, Tensor], allocation: Tensor) -> Tensor:
        """(B,) ms, on the batch that has just been served."""
        requests = observation["requests"]
        capacities = observation["capacities"].contiguous()
        gain = batched.gain(self._network, requests, capacities, allocation, check=False)
        return gain / requests.sum(1).clamp(min=1.0)


def advantages(rewards: Tensor, values: Tensor, discount: float, trace: float) -> Tensor:
    """(T, B) advantages from rewards (T, B) and values (T + 1, B), the last that of what comes after."""
    errors = rewards + discount * values[1:] - values[:-1]
    found, running = torch.empty_like(errors), torch.zeros_like(errors[0])
    for t in reversed(range(len(errors))):
        running = errors[t] + discount * trace * running
        found[t] = running
    return found


def make_policy(kind: str, scenarios: Sequence[Scenario], hidden: int | None, seed: int) -> Policy:
    """A policy with weights drawn from a seed.

    Raises
    ------
    IdnError
        If an argument is not allowed, a flat policy is asked for scenarios of different networks, or it is too large.
    """
    one_of("policy", kind, ("placement", "flat"))
    width = (16 if kind == "placement" else 64) if hidden is None else whole("hidden", hidden, highest=WIDEST)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters.seed(seed))
        if kind == "placement":
            return PlacementPolicy(width)
        networks = [Network.compile(scenario) for scenario in scenarios]
        sizes = {(network.R, network.P) for network in networks}
        if len(sizes) > 1:
            raise IdnError(f"policy: flat, for networks of different sizes (R, P) = {sorted(sizes)}; use placement")
        shape = FlatView.width(networks[0]), networks[0].P, (width, width)
        with torch.device("meta"):  # takes no memory, however large
            refuse_large(FlatPolicy(*shape), f"hidden: {width}")
        return FlatPolicy(*shape)
