"""What vector environments share, on arrays or tensors: episodes, seeds, autoreset modes, and the course of a slot."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from idn_gym.common import parameters
from idn_gym.env.arguments import Overrides
from idn_gym.env.env import IDNEnv, vector_space
from idn_gym.env.outcome import Outcome, weighted, weights_of
from idn_gym.env.repair import Granted
from idn_gym.env.rewards import COMPONENTS, VECTOR, Vector, paid, reward_of
from idn_gym.env.spec import in_json
from idn_gym.env.variants import networks_of
from idn_gym.errors import IdnError
from idn_gym.model.placements import room
from idn_gym.model.service import Served
from idn_gym.typing import BoolArray, FloatArray
from idn_gym.workload.stream import BLOCK
from idn_gym.workload.streams import Rows
from idn_gym.workload.trace import MOST_VALUES

Values = dict[str, Any]
Array = Any  # an array, or a tensor
EVERY = slice(None)
_MOST_ENVS = 10**6


class BatchEnv(VectorEnv[Any, Any, Any]):
    """`IDNEnv` B times, on arrays (`IDNVectorEnv`) or on tensors (`idn_gym.batched.TensorVectorEnv`)."""

    metadata = IDNEnv.metadata

    _spec: EnvSpec | None = None
    _check: bool = True  # whether values that users hand in are looked at

    # on arrays or tensors, from `_allocate` on
    _requests: Array  # (B, R)
    _allocation: Array  # (B, P) int8
    _by_node: Array  # (B, V) requests served
    _nominal: Array  # (B or 1, P), as observed
    _capacities: Array  # (B, P), as observed, or `_nominal` itself where they have not varied
    _limits: Array  # (B or 1, V) MB

    def __init__(
        self,
        scenario: Any = None,
        *,
        num_envs: int = 1,
        variants: Sequence[Overrides] | None = None,
        overrides: Overrides | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **others: Any,
    ) -> None:
        num_envs = parameters.whole("num_envs", num_envs, highest=_MOST_ENVS)
        if not isinstance(autoreset_mode, AutoresetMode):
            parameters.one_of("autoreset_mode", autoreset_mode, [mode.value for mode in AutoresetMode], quoted=True)
        env = IDNEnv(scenario, overrides=overrides, render_mode=render_mode, **others)
        self.num_envs, self.render_mode, self.autoreset_mode = num_envs, render_mode, AutoresetMode(autoreset_mode)
        self.metadata = IDNEnv.metadata | {"autoreset_mode": self.autoreset_mode}
        self.network, self.horizon = env.network, env.horizon
        if max_episode_steps is not None:
            most = parameters.whole("max_episode_steps", max_episode_steps, lowest=-1)
            if most == 0:
                raise IdnError("max_episode_steps: 0; must be at least 1, or -1 for none")
            self.horizon = self.horizon if most == -1 else min(self.horizon, most)
        if num_envs * (of_each := self._values_of_each(env)) > MOST_VALUES:
            raise IdnError(f"num_envs: {num_envs}; at most {MOST_VALUES // of_each} environments of this scenario")
        self._reward, self._update_weight, self._infeasible = (
            reward_of(env.reward, self._check),
            env.update_weight,
            env.infeasible,
        )
        self.networks = networks_of(num_envs, scenario, overrides, variants, env.network)
        alike = all(network is env.network for network in self.networks)
        self._budgets = np.stack([network.budgets for network in (self.networks[:1] if alike else self.networks)])
        self._streams = self._make_streams(env)
        self.single_observation_space = env.observation_space
        env.observation_space["budgets"].high[:] = max(1.0, self._budgets.max())  # type: ignore[index]
        self.single_action_space = env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._slot = np.full(num_envs, self.horizon)
        self._over = np.ones(num_envs, dtype=np.bool_)  # waits for a reset
        self._started = False
        self._allocate()
        weights = (weights_of(values) for values in (self.network.prices, self.network.timed))
        self._prices, self._timed = (None if each is None else self._numbers(each) for each in weights)
        self._vector = Vector(self.network, self._numbers, self._host) if env.reward == VECTOR else None
        if self._vector is not None:
            self.reward_space = vector_space()  # of one environment, as MO-Gymnasium has it

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Values, dict[str, Any]]:
        """Start every environment anew, or those of ``options["reset_mask"]``; an int seed gives seed + i."""
        mask = self._reset_mask(options)
        for row, one in zip(np.flatnonzero(mask).tolist(), self._seeds(seed, mask), strict=True):
            if one is not None or self._generators[row] is None:
                self._generators[row] = seeding.np_random(one)[0]
        self._begin(mask)
        self._over[mask] = False
        self._started = self._started or bool(mask.all())
        return self._observe(), self._masked(self._unserved(), mask)

    def step(self, actions: Any) -> tuple[Values, Any, Any, Any, dict[str, Any]]:
        """One slot of every environment; see `IDNEnv.step`, and Gymnasium's autoreset modes."""
        asked = self._asked(actions)
        begins, waits = self._over, bool(self._over.any())
        if not self._started or (waits and self.autoreset_mode != AutoresetMode.NEXT_STEP):
            raise gymnasium.error.ResetNeeded("an environment has not begun, or is over; call reset")
        live = ~begins
        if waits:
            self._begin(begins)
        rewards = self._zeros(self.num_envs, *([len(COMPONENTS)] if self._vector is not None else []))
        values: Values = {}
        rows: Rows = np.flatnonzero(live) if waits else EVERY
        where = self._where(rows)
        if live.any():
            played, outcome = self._play(rows, where, asked[where])
            self._put(rewards, where, played)
            values = outcome._asdict()
        if waits:
            of_rows, values = values, self._unserved()
            for key, value in of_rows.items():
                self._put(values[key], where, value)
        self._slot[live] += 1
        truncated = live & (self._slot >= self.horizon)
        every = np.ones_like(live)
        infos = self._masked(values, every)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and truncated.any():
            begun = {key: self._chosen(truncated, new, values[key]) for key, new in self._unserved().items()}
            infos = self._masked(begun, every) | self._final(values, truncated)
            self._begin(truncated)
        self._over = truncated & (self.autoreset_mode != AutoresetMode.SAME_STEP)
        return self._observe(), rewards, self._flags(np.zeros_like(truncated)), self._flags(truncated), infos

    def render(self) -> Any:
        """One frame or text per environment; see `IDNEnv.render`."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode; pass render_mode to make_vec()")
            return None
        from idn_gym.env import rendering

        show = rendering.draw if self.render_mode == "rgb_array" else rendering.describe
        state = zip(self.networks, self._host(self._allocation), self._slot, self._host(self._by_node), strict=True)
        return tuple(show(network, x, int(slot), by_node) for network, x, slot, by_node in state)

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make_vec` made it from, its arguments as JSON values."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = in_json(spec)

    def action_masks(self) -> BoolArray:
        """(B, 2P) for `MaskablePPO`: per placement, whether its bit may be 0, and whether it may be 1."""
        left = room(self._budgets[:, self.network.placement_node])
        fits = np.broadcast_to(self.network.sizes <= left, (self.num_envs, self.network.P))
        return np.stack([np.ones_like(fits), fits], axis=2).reshape(self.num_envs, -1)

    def _values_of_each(self, env: IDNEnv) -> int:
        """Numbers that an environment keeps, about."""
        return self.network.R * (1 if env.replay else BLOCK) + self.network.P

    def _reset_mask(self, options: dict[str, Any] | None) -> BoolArray:
        if options is not None and not isinstance(options, Mapping):
            raise IdnError(f"options: {parameters.shown(options)}; must be a dict, or None")
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        try:
            found = self._host(mask)
        except (TypeError, ValueError):
            found = np.zeros(0)
        if found.shape != (self.num_envs,) or found.dtype != np.bool_ or not found.any():
            shown = parameters.shown(mask)
            raise IdnError(f"reset_mask: {shown}; must be ({self.num_envs},) bool with at least one True")
        return found

    def _seeds(self, seed: int | Sequence[int | None] | None, mask: BoolArray) -> list[int | None]:
        """A seed for each environment that is reset."""
        if isinstance(seed, np.ndarray) and seed.ndim == 1:
            seed = seed.tolist()
        if seed is None:
            seeds: list[int | None] = [None] * self.num_envs
        elif isinstance(seed, list | tuple | range):
            most = parameters.LARGEST_SEED
            seeds = [
                None if one is None else parameters.whole(f"seed[{i}]", one, 0, most) for i, one in enumerate(seed)
            ]
        else:
            first = parameters.seed(seed)
            seeds = [first + i for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise IdnError(f"seed: {len(seeds)} of them; must be {self.num_envs}, one per environment")
        return [one for one, wanted in zip(seeds, mask, strict=True) if wanted]

    def _begin(self, mask: BoolArray) -> None:
        """Empty the nodes of some environments and restart their streams."""
        rows: Rows = EVERY if mask.all() else np.flatnonzero(mask)
        self._slot[rows] = 0
        self._streams.restart(rows, [g for g, begins in zip(self._generators, mask, strict=True) if begins])
        where = self._where(rows)
        for state in (self._requests, self._allocation, self._by_node):
            self._put(state, where, 0)
        if mask.all():
            self._capacities = self._nominal
        elif self._capacities is not self._nominal:
            self._capacities = self._chosen(mask, self._nominal, self._capacities)

    def _play(self, rows: Rows, where: Any, asked: Array) -> tuple[Array, Outcome]:
        """Place, draw and serve one slot: rewards and outcome of these rows."""
        limits = self._limits if len(self._limits) == 1 else self._limits[where]

        def refused(row: int) -> str:
            return f"actions[{np.arange(self.num_envs)[rows][row]}]"

        raises = self._infeasible == "raise"
        before = self._allocation[where]
        granted, requests, capacities, served = self._served(rows, asked, before, limits, refused if raises else None)
        self._keep(where, granted.allocation, served.by_node, requests)
        if self._capacities is not self._nominal or capacities is not self._streams.nominal:
            self._see(where, capacities)
        slot, by_tier = self._numbers(self._slot[rows].copy()), self._by_tier(served.by_node)
        outcome = Outcome.of(
            served,
            requests,
            by_tier,
            slot=slot,
            loaded=granted.loaded,
            repaired=granted.repaired,
            price=weighted(self._prices, granted.allocation),
            timed=weighted(self._timed, requests),
        )
        if self._vector is None:
            return paid(self._reward, outcome, self._update_weight, self.network.price_weight), outcome
        components = self._vector.of(outcome, requests, capacities, granted.allocation)
        rewards = self._zeros(len(granted.allocation), len(components))
        for i, component in enumerate(components):
            rewards[:, i] = component
        return rewards, outcome

    # What follows is done on arrays in one way, and on tensors in another.

    @abstractmethod
    def _make_streams(self, env: IDNEnv) -> Any:
        """The request streams of all environments."""

    @abstractmethod
    def _allocate(self) -> None:
        """Make the state."""

    @abstractmethod
    def _served(
        self, rows: Rows, asked: Array, before: Array, budgets: Array, refused: Callable[[int], str] | None
    ) -> tuple[Granted, Array, Array, Served]:
        """What is granted of actions, see `repair.grant`; requests and capacities of a slot; what serving came to."""

    @abstractmethod
    def _by_tier(self, by_node: Array) -> Array:
        """(n, tiers) sums of (n, V)."""

    def _keep(self, where: Any, allocation: Array, by_node: Array, requests: Array) -> None:
        """Take down what was played in a slot."""
        self._put(self._allocation, where, allocation)
        self._put(self._by_node, where, by_node)
        self._put(self._requests, where, requests)

    @abstractmethod
    def _see(self, where: Any, capacities: Array) -> None:
        """Keep the capacities of a slot, as they will be observed."""

    @abstractmethod
    def _observe(self) -> Values:
        """What agents see."""

    @abstractmethod
    def _asked(self, actions: Any) -> Array:
        """Actions as (B, P) int8, or an error that names the entry."""

    @abstractmethod
    def _unserved(self) -> Values:
        """What every environment informs of where no slot has been served, as values of our own."""

    @abstractmethod
    def _masked(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        """Gymnasium's form of information: a mask beside every key, 0 where it does not apply."""

    @abstractmethod
    def _chosen(self, mask: BoolArray, some: Array, others: Array) -> Array:
        """Row by row, the first where the mask is True."""

    @abstractmethod
    def _final(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        """Last observation and information of the episodes that have just ended."""

    @abstractmethod
    def _zeros(self, *shape: int) -> Array:
        """Zeros of the type of rewards."""

    @abstractmethod
    def _numbers(self, values: Any) -> Array:
        """Values of the host as those of this environment."""

    @abstractmethod
    def _flags(self, mask: BoolArray) -> Array:
        """A mask as flags."""

    @abstractmethod
    def _host(self, values: Any) -> FloatArray:
        """Values as an array."""

    @abstractmethod
    def _where(self, rows: Rows) -> Any:
        """Rows as an index into the state."""

    @abstractmethod
    def _put(self, values: Array, where: Any, some: Any) -> None:
        """Write into some rows."""
