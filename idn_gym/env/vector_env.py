"""Many environments in one: the native Gymnasium vector environment behind the registered ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from idn_gym import kernels
from idn_gym.common import parameters
from idn_gym.env import arguments
from idn_gym.env.arguments import Overrides
from idn_gym.env.env import IDNEnv, as_array, in_json, unserved
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.scenario.schema import Replay
from idn_gym.typing import BoolArray, FloatArray
from idn_gym.workload.streams import Rows, Streams
from idn_gym.workload.trace import LARGEST, MOST_VALUES
from idn_gym.workload.workload import BLOCK

Values = dict[str, Any]
Array = Any  # an array here, a tensor in the subclass that works on those
_EVERY = slice(None)
_MOST_ENVS = 10**6

# what environments of one batch share: anything else that a variant changes would go unseen
_SHARED = ("sizes", "placement_group", "options", "costs", "inaccuracies", "path_groups", "tiers", "type_entry")


def make(*, device: Any = None, **others: Any) -> IDNVectorEnv:
    """What ``gymnasium.make_vec`` calls: NumPy in and out, or, with a device, PyTorch tensors on it."""
    if device is None:
        return IDNVectorEnv(**others)
    try:
        from idn_gym.batched.vector_env import TensorVectorEnv
    except ImportError as error:
        raise IdnError(f"device: {device!r} needs PyTorch; pip install 'idn-gym[torch]' ({error})") from None
    return TensorVectorEnv(device=device, **others)


class IDNVectorEnv(VectorEnv[Any, Any, Any]):
    """`IDNEnv` B times, stepped in one call: ``gymnasium.make_vec(id, num_envs=B)``.

    ## Description
    What is observed, done and paid is as in `IDNEnv`, with a leading axis B. Environment i, reset with seed s, is
    bitwise the scalar environment reset with seed s + i. Observations are new arrays at every step.

    ## Information
    That of `IDNEnv` as arrays (B, ...), and beside every key its mask `_key`, (B,) bool: all True, but for a partial
    reset, which informs of the environments that it resets. A step that begins an episode (``NextStep``) informs of a
    reset. Under ``SameStep`` the step that ends an episode has also `final_obs` and `final_info`.

    ## Arguments
    Those of `IDNEnv`, and:

    | argument | default | meaning |
    |---|---|---|
    | `num_envs` | 1 | B |
    | `variants` | none | B sets of overrides, on top of `overrides`, that change rates, budgets or capacities |
    | `max_episode_steps` | none | the least of it and `horizon` ends an episode; -1 is none |
    | `autoreset_mode` | `"NextStep"` | or `"SameStep"`, `"Disabled"`; an `AutoresetMode` or its value |
    | `device` | none | PyTorch device: tensors in and out, see `idn_gym.batched.TensorVectorEnv` |

    ## Episode End
    All three modes of Gymnasium. In a partial reset, ``reset(options={"reset_mask": mask})``, with mask (B,) bool,
    the others stay where they are.

    ## Version History
    * v0: first release.
    """

    metadata = IDNEnv.metadata

    _spec: EnvSpec | None = None

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
        self.num_envs, self.render_mode, self._mode = num_envs, render_mode, AutoresetMode(autoreset_mode)
        self.metadata = IDNEnv.metadata | {"autoreset_mode": self._mode}
        self.network, self.horizon = env.network, env.horizon
        if max_episode_steps is not None:
            most = parameters.whole("max_episode_steps", max_episode_steps, lowest=-1)
            if most == 0:
                raise IdnError("max_episode_steps: 0; must be at least 1, or -1 for none")
            self.horizon = self.horizon if most == -1 else min(self.horizon, most)
        if num_envs * (of_each := self._values_of_each(env)) > MOST_VALUES:
            raise IdnError(f"num_envs: {num_envs}; at most {MOST_VALUES // of_each} environments of this scenario")
        self._reward, self._update_weight, self._infeasible = env.reward, env.update_weight, env.infeasible
        self.networks = _variants(num_envs, scenario, overrides, variants, env.network)
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

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make_vec` made it from, its arguments as JSON values."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = in_json(spec)

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
        begins = self._over & (self._mode == AutoresetMode.NEXT_STEP)
        if not self._started or (self._over & ~begins).any():
            raise gymnasium.error.ResetNeeded("an environment has not begun, or is over; call reset")
        live = ~begins
        if begins.any():
            self._begin(begins)
        rewards = self._zeros(self.num_envs)
        values: Values = {}
        if live.any():
            rows: Rows = _EVERY if live.all() else np.flatnonzero(live)
            played, values = self._play(rows, asked[rows])
            self._put(rewards, rows, played)
        if not live.all():
            of_rows, values = values, self._unserved()
            for key, value in of_rows.items():
                self._put(values[key], rows, value)
        self._slot[live] += 1
        truncated = live & (self._slot >= self.horizon)
        every = np.ones_like(live)
        infos = self._masked(values, every)
        if self._mode == AutoresetMode.SAME_STEP and truncated.any():
            begun = {key: self._chosen(truncated, new, values[key]) for key, new in self._unserved().items()}
            infos = self._masked(begun, every) | self._final(values, truncated)
            self._begin(truncated)
        self._over = truncated & (self._mode != AutoresetMode.SAME_STEP)
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

    def action_masks(self) -> BoolArray:
        """(B, 2P) for `MaskablePPO`: per placement, whether its bit may be 0, and whether it may be 1."""
        left = room(self._budgets[:, self.network.placement_node])
        fits = np.broadcast_to(self.network.sizes <= left, (self.num_envs, self.network.P))
        return np.stack([np.ones_like(fits), fits], axis=2).reshape(self.num_envs, -1)

    # What follows is done on arrays, and is done otherwise on tensors.

    def _values_of_each(self, env: IDNEnv) -> int:
        """Numbers that an environment keeps, about."""
        return self.network.R * (1 if env.replay else BLOCK) + self.network.P

    def _make_streams(self, env: IDNEnv) -> Any:
        return Streams(self.networks, env.replay)

    def _allocate(self) -> None:
        rows, network = self.num_envs, self.network
        self._requests: Array = np.zeros((rows, network.R))
        self._allocation: Array = np.zeros((rows, network.P), dtype=np.int8)
        self._by_node: Array = np.zeros((rows, network.V))
        self._nominal: Array = _shown(np.minimum(self._streams.nominal, LARGEST), rows)
        self._shown_budgets: Array = _shown(self._budgets, rows)
        self._capacities: Array = self._nominal

    def _begin(self, mask: BoolArray) -> None:
        """Empty the nodes of some environments and restart their streams."""
        rows = np.flatnonzero(mask)
        self._slot[rows] = 0
        self._streams.restart(rows, [self._generators[row] for row in rows.tolist()])
        self._requests[rows] = 0.0
        self._allocation[rows] = 0
        self._by_node[rows] = 0.0
        if mask.all():
            self._capacities = self._nominal
        elif self._capacities is not self._nominal:
            self._capacities = np.where(mask[:, None], self._nominal, self._capacities)

    def _play(self, rows: Rows, asked: Array) -> tuple[Array, Values]:
        """Place, draw and serve one slot: rewards and information of these rows, in the order of `unserved`."""
        before = self._allocation[rows]
        budgets = self._budgets if len(self._budgets) == 1 else self._budgets[rows]
        allocation, repaired, loaded = self._feasible(asked, before, budgets)
        requests, capacities = self._streams.next_slot(rows)
        served = kernels.serve(self.network, requests, capacities, allocation)
        self._allocation[rows], self._by_node[rows], self._requests[rows] = allocation, served.by_node, requests
        self._see(rows, capacities)

        total = requests.sum(axis=1)
        per_request = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        reward = served.gain if self._reward == "gain" else served.gain * per_request
        return reward - self._update_weight * loaded, {
            "slot": self._slot[rows].copy(),
            "gain": served.gain,
            "cost": served.cost,
            "latency_ms": served.latency * per_request,
            "inaccuracy": served.inaccuracy * per_request,
            "model_update_mb": loaded,
            "request_count": total,
            "repaired": repaired,
            "tier_shares": _by_tier(self.network, served.by_node) * per_request[:, None],
        }

    def _feasible(self, asked: Array, before: Array, budgets: Array) -> tuple[Array, Array, Array]:
        """What was asked for as feasible allocations (n, P) int8, the placements lost, the MB newly loaded."""
        in_use, loaded = kernels.memory(self.network, asked, before)
        over = in_use > room(budgets)
        repaired = np.zeros(len(asked), dtype=np.int64)
        rows = np.flatnonzero(over.any(axis=1))
        if len(rows) == 0:
            return asked, repaired, loaded
        budgets = budgets if len(budgets) == 1 else budgets[rows]
        if self._infeasible == "raise":
            v = int(over[rows[0]].argmax())
            raise IdnError(
                f"actions[{rows[0]}]: node {self.network.node_names[v]} would hold {in_use[rows[0], v]:.6g} MB; "
                f"its budget is {budgets[0, v]:.6g} MB"
            )
        kept = np.where(asked[rows] > 0, 1.0 + before[rows], -np.inf)
        granted = kernels.pack(self.network, kept, budgets)
        repaired[rows] = asked[rows].sum(axis=1, dtype=np.int64) - granted.sum(axis=1, dtype=np.int64)
        loaded[rows] = kernels.memory(self.network, granted, before[rows])[1]
        feasible = asked.copy()
        feasible[rows] = granted
        return feasible, repaired, loaded

    def _see(self, rows: Rows, capacities: Array) -> None:
        """Keep the capacities of a slot, as they will be observed."""
        if self._capacities is self._nominal:
            if capacities is self._streams.nominal:
                return
            self._capacities = self._nominal.copy()
        self._capacities[rows] = np.minimum(capacities, LARGEST)

    def _observe(self) -> Values:
        return {
            "requests": self._requests.astype(np.float32),
            "capacities": self._capacities.astype(np.float32),
            "allocation": self._allocation.astype(np.float32),
            "budgets": self._shown_budgets.copy(),
        }

    def _asked(self, actions: Any) -> Array:
        """Actions as (B, P) int8, or an error that names the entry."""
        asked = as_array("actions", actions)
        shape = (self.num_envs, self.network.P)
        if asked.shape != shape:
            raise IdnError(f"actions: shape {asked.shape}; must be {shape}")
        bits = asked != 0
        if asked.dtype != np.bool_ and not np.array_equal(bits, asked):
            b, p = np.argwhere(bits != asked)[0]
            raise IdnError(f"actions[{b}, {p}]: {asked[b, p]}; must be 0 or 1")
        return bits.view(np.int8)

    def _zeros(self, *shape: int) -> Any:
        return np.zeros(shape)

    def _flags(self, mask: BoolArray) -> Any:
        return mask

    def _host(self, values: Any) -> FloatArray:
        return np.asarray(values)

    def _put(self, values: Any, rows: Rows, some: Any) -> None:
        values[rows] = some

    def _unserved(self) -> Values:
        """What every environment informs of where no slot has been served, as arrays of our own."""
        return {key: np.repeat(value[None], self.num_envs, axis=0) for key, value in unserved(self.network).items()}

    def _masked(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        """Gymnasium's form of information: a mask beside every key, 0 where it does not apply."""
        infos = {}
        for key, value in values.items():
            infos[key] = value if mask.all() else self._chosen(mask, value, np.zeros_like(value))
            infos[f"_{key}"] = mask.copy()
        return infos

    def _chosen(self, mask: BoolArray, some: Array, others: Array) -> Array:
        """Row by row of two arrays, the first where the mask is True."""
        return np.where(mask.reshape(-1, *[1] * (some.ndim - 1)), some, others)

    def _final(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        """Last observation and information of the episodes that have just ended."""
        observation = self._observe()
        final = np.full(self.num_envs, None, dtype=object)
        for b in np.flatnonzero(mask):
            final[b] = {key: value[b].copy() for key, value in observation.items()}
        return {
            "final_obs": final,
            "_final_obs": mask.copy(),
            "final_info": self._masked(values, mask),
            "_final_info": mask.copy(),
        }

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


def _variants(rows: int, scenario: Any, overrides: Any, variants: Any, network: Network) -> list[Network]:
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
    changed = [name for name in _SHARED if not np.array_equal(getattr(network, name), getattr(variant, name))]
    ours, theirs = network.scenario, variant.scenario
    changed += [name for name in ("accuracy_weight", "horizon") if getattr(ours, name) != getattr(theirs, name)]
    if Replay in {type(ours.workload), type(theirs.workload)} and ours.workload != theirs.workload:
        changed.append("workload, which replays a trace")
    if changed:
        raise IdnError(f"changes {changed[0]}; may change rates, budgets and capacities only")
    return variant


def _shown(values: FloatArray, rows: int) -> FloatArray:
    """(B, n) float32."""
    return np.ascontiguousarray(np.broadcast_to(values, (rows, values.shape[1])), dtype=np.float32)


def _by_tier(network: Network, by_node: FloatArray) -> FloatArray:
    """(n, tiers) sums of (n, V), in the order of the nodes."""
    tiers = int(network.tiers.max()) + 1
    where = (np.arange(len(by_node))[:, None] * tiers + network.tiers).ravel()
    return np.bincount(where, by_node.ravel(), minlength=len(by_node) * tiers).reshape(-1, tiers)
