"""The scalar Gymnasium environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import signature
from numbers import Integral, Real
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from idn_gym.common import parameters
from idn_gym.env import arguments
from idn_gym.env.arguments import Overrides
from idn_gym.env.outcome import Information, Outcome, by_tier, unserved, weighted, weights_of
from idn_gym.env.repair import grant, serve_granted
from idn_gym.env.rewards import COMPONENTS, VECTOR, Reward, Vector, paid, reward_of
from idn_gym.env.spec import in_json
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario
from idn_gym.scenario.workloads import Replay
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.stream import BLOCK, Stream, replayed
from idn_gym.workload.trace import LARGEST, Trace
from idn_gym.workload.trace_file import read_trace

Observation = dict[str, FloatArray]

_MOST_UPDATE_WEIGHT = 1e9  # far beyond use, and low enough that rewards and their squares are finite in float32


class UnknownArgument(IdnError, TypeError):
    """In the class and the words of Python's own error: from those TorchRL learns what an environment takes."""


class IDNEnv(gymnasium.Env[Observation, IntArray]):
    """Which models should each node of an inference delivery network hold, not knowing the requests to come?

    ## Description
    An inference delivery network is a graph of compute nodes, from base stations to the cloud. Each node holds models,
    several variants per task, under a memory budget. Requests enter at their entry node and travel a fixed path
    towards a repository; on the way they are served by the cheapest placed model that has capacity left. The cost of
    serving a request is network latency + the model's delay + `accuracy_weight` x (100 - accuracy), times the weight of
    its service, whose requests may also have a deadline and a priority.

    In every slot the agent says what each node holds, knowing only the past; then a batch of requests and the
    capacities of the slot are drawn, the batch is served, and the agent sees both. Axes: P placements (a node and a
    model that can run there, node by node), R request types (a service and a path), V nodes.

    ## Action Space
    `MultiBinary(P)`: 1 where the node is to hold the model during the coming slot. `env.unwrapped.network` says which
    placement is which. An action over a node's budget is repaired without adding information: the node keeps what it
    held and is still asked to hold, then adds in file order what fits; placements larger than their node's budget are
    dropped. `infeasible="raise"` raises instead. Wrappers offer continuous scores and one placement at a time.

    ## Observation Space
    A flat `Dict` of 1-D float32 boxes:

    | key | shape | meaning |
    |---|---|---|
    | `requests` | (R,) | requests per type in the last slot; zeros after reset |
    | `capacities` | (P,) | requests each placement could serve in the last slot; nominal after reset |
    | `allocation` | (P,) | what is placed: 1 or 0; zeros after reset |
    | `budgets` | (V,) | memory budget of each node in MB |

    ## Rewards
    The allocation gain of the slot in ms, summed over requests: what serving it cost less than from repositories
    alone. `reward="gain_per_request"` divides it, and what is taken off, by the requests of the slot. A function makes
    of the `Outcome` of B slots, whose fields are those of the information with a leading axis B, their rewards (B,):
    ``reward=lambda outcome: outcome.gain - 5.0 * outcome.inaccuracy``. It works on arrays, of B = 1 in this class, and
    on tensors in vector environments with a device. Whatever the reward, it is less `update_weight` x MB newly loaded,
    and less the scenario's `price_weight` x price of what is placed in the slot.

    `reward="vector"` gives (5,) instead, with a `reward_space`, as multi-objective learners take it (make it with
    ``disable_env_checker=True``): latency (ms), inaccuracy (percentage points) and violation (ms) saved against
    repositories, less MB loaded, less price, each per request. Times (1, accuracy_weight, 1, update_weight,
    price_weight) they add up to `"gain_per_request"`.

    ## Starting State
    Nothing is placed; the stream starts at slot 0. `reset(seed=s)` gives the stream of `draw(network, slots, s)`.

    ## Episode End
    Truncated after `horizon` slots; never terminated.

    ## Information
    Of the slot just served, NumPy scalars and one array; the same keys, types and shapes after a reset and after
    every step. After a reset no slot has been served: `slot` is -1 and all else 0.

    | key | type | meaning |
    |---|---|---|
    | `slot` | int64 | number of the slot, from 0 |
    | `gain`, `cost` | float64 | ms, summed over requests |
    | `latency_ms`, `inaccuracy` | float64 | per request; 0 if there were none |
    | `missed` | float64 | share of late requests among those of services with a deadline; 0 if there were none |
    | `model_update_mb` | float64 | MB newly loaded |
    | `price_per_slot` | float64 | currency, of what was placed |
    | `request_count` | float64 | number of requests |
    | `repaired` | int64 | placements asked for and not granted |
    | `tier_shares` | (tiers,) float64 | share of the requests served by each tier, 0 first |

    ## Arguments
    | argument | default | meaning |
    |---|---|---|
    | `scenario` | of the id | packaged name, id, path of a scenario file, its content as a `dict`, or a `Scenario` |
    | `overrides` | none | changes to the scenario: `{"workload.rate": 300}` or `["workload.rate=300"]` |
    | `horizon` | the scenario's | slots per episode |
    | `reward` | `"gain"` | or `"gain_per_request"`, `"vector"`, or a function of the outcome |
    | `update_weight` | 0 | reward lost per MB newly loaded, at most 1e9 |
    | `infeasible` | `"repair"` | or `"raise"` |
    | `trace` | none | path of a request file that replaces the workload; `horizon` is then its number of slots |
    | `capacities` | none | path of a capacity file that goes with `trace` |
    | `render_mode` | none | `"rgb_array"` or `"ansi"`: the graph by tier and what each node holds |

    `env.spec` holds them as JSON values whatever they were given as, a `Scenario` as its content:
    ``EnvSpec.from_json(env.spec.to_json())`` makes the same environment, unless its reward is a function, which cannot
    be written. Any other argument is an `IdnError`.

    ## Version History
    * v0: first release.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012 - as Gymnasium has it

    _spec: EnvSpec | None = None

    def __init__(
        self,
        scenario: str | os.PathLike[str] | Mapping[str, Any] | Scenario | None = None,
        *,
        overrides: Overrides | None = None,
        horizon: int | None = None,
        reward: Literal["gain", "gain_per_request", "vector"] | Reward = "gain",
        update_weight: float = 0.0,
        infeasible: Literal["repair", "raise"] = "repair",
        trace: str | os.PathLike[str] | None = None,
        capacities: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        for name in unknown:
            allowed = ", ".join(list(signature(IDNEnv).parameters)[:-1])
            raise UnknownArgument(
                f"{name}: no argument of the environment; unexpected keyword argument {name!r}; allowed: {allowed}"
            )
        parameters.one_of("infeasible", infeasible, ("repair", "raise"), quoted=True)
        parameters.one_of("render_mode", render_mode, (None, *self.metadata["render_modes"]), quoted=True)
        self._reward = reward_of(reward)
        self.reward, self.infeasible, self.render_mode = reward, infeasible, render_mode
        number = isinstance(update_weight, Real) and not isinstance(update_weight, bool)
        if not (number and 0.0 <= update_weight <= _MOST_UPDATE_WEIGHT):  # also refuses nan
            shown, most = parameters.shown(update_weight), f"{_MOST_UPDATE_WEIGHT:g}"
            raise IdnError(f"update_weight: {shown}; must be a finite number >= 0, at most {most}")
        self.update_weight = float(update_weight)
        if isinstance(scenario, Scenario) and arguments.changes_of("overrides", overrides):
            raise IdnError("overrides: a Scenario object is taken as it is; apply overrides when loading it")
        self.network = Network.compile(arguments.resolve(scenario, overrides))
        self.replay = self._replayed(trace, capacities)
        self.horizon = self._horizon(horizon)
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            {
                "requests": _box(self.network.R, LARGEST),
                "capacities": _box(self.network.P, LARGEST),
                "allocation": _box(self.network.P, 1.0),
                "budgets": _box(self.network.V, max(1.0, self.network.budgets.max())),
            }
        )
        self.action_space = spaces.MultiBinary(self.network.P)
        self._vector = Vector(self.network) if reward == VECTOR else None
        if self._vector is not None:
            self.reward_space = vector_space()
        self._price_weight = self.network.price_weight
        self._prices, self._timed = weights_of(self.network.prices), weights_of(self.network.timed)
        self._slot = self.horizon
        self._block: Trace | None = None
        self._steady: FloatArray | None = None  # what is observed of the block's capacities, if they do not vary
        self._allocation = np.zeros(self.network.P, dtype=np.int8)
        self._by_node = np.zeros(self.network.V)

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make` made it from, its arguments as JSON values."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = in_json(spec)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Information]:
        """Empty every node and start the stream anew; see the class for the observation and the information."""
        super().reset(seed=None if seed is None else parameters.seed(seed))
        self._stream = None if self.replay else Stream(self.network, self.np_random)
        self._slot = 0
        self._block = self.replay
        self._steady = self._shown_if_steady(self.replay) if self.replay else None
        self._allocation = np.zeros(self.network.P, dtype=np.int8)
        self._by_node = np.zeros(self.network.V)
        observation = observe(self.network, np.zeros(self.network.R), self.network.capacities, self._allocation)
        return observation, unserved(self.network, 1).row(0)._asdict()

    def step(self, action: IntArray) -> tuple[Observation, Any, bool, bool, Information]:
        """Place what the action says, draw a slot and serve it; see the class."""
        if self._slot >= self.horizon:
            raise gymnasium.error.ResetNeeded(f"the episode of {self.horizon} slots is over; call reset")
        asked = as_bits("action", action, (self.network.P,)).copy()[None]  # it is kept
        before = self._allocation[None]
        if self.infeasible == "raise":  # before anything is drawn
            grant(self.network, asked, before, refused=lambda _: "action")
        requests, capacities = self._next_slot()
        granted, serving = serve_granted(self.network, asked, before, requests[None], capacities[None])
        served = serving.row(0)
        outcome = Outcome.of(
            served,
            requests,
            by_tier(self.network, served.by_node),
            slot=np.int64(self._slot),
            loaded=granted.loaded[0],
            repaired=granted.repaired[0],
            price=weighted(self._prices, granted.allocation[0]),
            timed=weighted(self._timed, requests),
        )
        self._allocation, self._by_node = granted.allocation[0], served.by_node
        self._slot += 1
        shown = self._steady.copy() if self._steady is not None else None
        observation = observe(self.network, requests, capacities, self._allocation, shown)
        reward: Any
        if self._vector is None:
            reward = float(paid(self._reward, outcome, self.update_weight, self._price_weight))
        else:
            reward = np.array(self._vector.of(outcome, requests, capacities, self._allocation))
        return observation, reward, False, self._slot >= self.horizon, outcome._asdict()

    @property
    def last_batch(self) -> tuple[FloatArray, FloatArray]:
        """Requests (R,) and capacities (P,) of the last slot served; after a reset none, and the nominal ones."""
        if self._slot == 0 or self._block is None:
            return np.zeros(self.network.R), self.network.capacities
        within = self._slot - 1 if self._stream is None else (self._slot - 1) % BLOCK
        return self._block.requests[within], self._block.capacities_at(within)

    def render(self) -> Any:
        """The network by tier and what each node holds: an (H, W, 3) uint8 image, or text."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode; pass render_mode to make()")
            return None
        from idn_gym.env import rendering

        show = rendering.draw if self.render_mode == "rgb_array" else rendering.describe
        return show(self.network, self._allocation, self._slot, self._by_node)

    def _replayed(
        self, trace: str | os.PathLike[str] | None, capacities: str | os.PathLike[str] | None
    ) -> Trace | None:
        requests_file, capacity_file = arguments.path("trace", trace), arguments.path("capacities", capacities)
        if requests_file is not None:
            return read_trace(self.network, requests_file, capacity_file)
        if capacity_file is not None:
            raise IdnError("capacities: a capacity file goes with a trace; give trace too")
        return replayed(self.network) if isinstance(self.network.scenario.workload, Replay) else None

    def _horizon(self, horizon: int | None) -> int:
        if horizon is None:
            return self.replay.slots if self.replay else self.network.scenario.horizon
        most = self.replay.slots if self.replay else parameters.MOST
        number = isinstance(horizon, Integral) and not isinstance(horizon, bool)
        if not (number and 1 <= horizon <= most):
            limit = f"the trace's {most} slots" if self.replay else f"{most}"
            shown = parameters.shown(horizon)
            raise IdnError(f"horizon: {shown}; must be a whole number, at least 1 and at most {limit}")
        return int(horizon)

    def _shown_if_steady(self, block: Trace) -> FloatArray | None:
        """(P,) what is observed of capacities that do not vary."""
        return None if block.varying else shown_capacities(block.capacities[0])

    def _next_slot(self) -> tuple[FloatArray, FloatArray]:
        if self._stream is None:
            assert self.replay is not None
            return self.replay.requests[self._slot], self.replay.capacities_at(self._slot)
        within = self._slot % BLOCK
        if within == 0:
            self._block = self._stream.next_block()
            self._steady = self._shown_if_steady(self._block)
        assert self._block is not None
        return self._block.requests[within], self._block.capacities_at(within)


def observe(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: IntArray,
    shown: FloatArray | None = None,
) -> Observation:
    """What an agent sees before a slot: the last batch and capacities, what is placed, and the budgets.

    Parameters
    ----------
    shown : (P,) what `shown_capacities` makes of the capacities, where that is known.
    """
    return {
        "requests": requests.astype(np.float32),
        "capacities": shown_capacities(capacities) if shown is None else shown,
        "allocation": allocation.astype(np.float32),
        "budgets": network.budgets.astype(np.float32),
    }


def vector_space() -> spaces.Box:
    """What vector rewards are in."""
    return spaces.Box(-np.inf, np.inf, (len(COMPONENTS),), np.float64)


def shown_capacities(capacities: FloatArray) -> FloatArray:
    """Capacities as they are observed: float32, finite."""
    return np.minimum(capacities, LARGEST).astype(np.float32)


def as_array(name: str, values: Any, dtype: Any = None) -> Any:
    """Values as an array, or an `IdnError` that names the argument."""
    try:
        return np.asarray(values, dtype)
    except (TypeError, ValueError) as error:  # rows of different lengths, or no numbers
        raise IdnError(f"{name}: {error}") from None


def as_bits(name: str, values: Any, shape: tuple[int, ...]) -> Any:
    """Values as int8 of this shape, or an `IdnError` that names the argument, and an entry that is neither 0 nor 1."""
    bits = as_array(name, values)
    if bits.shape != shape:
        raise IdnError(f"{name}: shape {bits.shape}; must be {shape}")
    if bits.dtype == np.int8:  # what the spaces sample: its bytes say it all
        binary = bits.view(np.uint8).max(initial=0) <= 1
    else:
        binary = bits.dtype == np.bool_ or bool(((bits == 0) | (bits == 1)).all())
    if not binary:
        where = np.argwhere((bits != 0) & (bits != 1))[0].tolist()
        raise IdnError(f"{name}{where}: {bits[tuple(where)]}; must be 0 or 1")
    return bits.astype(np.int8, copy=False)


def _box(size: int, high: float) -> spaces.Box:
    return spaces.Box(0.0, np.float32(high), (size,), np.float32)
