"""The environment as PettingZoo has it: one agent per node that has a budget, each with what its node knows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from idn_gym import kernels
from idn_gym.common import parameters
from idn_gym.common.extras import missing
from idn_gym.env.env import IDNEnv, as_array, shown_capacities
from idn_gym.env.outcome import Information
from idn_gym.errors import IdnError
from idn_gym.model.ranked import RankedService
from idn_gym.scenario import Scenario
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import LARGEST

try:
    from pettingzoo import ParallelEnv
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise missing("multi-agent", "idn_gym.multi_agent", "pettingzoo", error) from None

Observation = dict[str, Any]  # of one agent: arrays by name
_FREE = 2  # in a mask of `MultiBinary.sample`: may be 0 or 1


def parallel_env(
    scenario: str | os.PathLike[str] | Mapping[str, Any] | Scenario,
    *,
    reward: Any = "gain",
    padded: bool = False,
    **arguments: Any,
) -> NodesEnv:
    """A `NodesEnv` of a scenario: a packaged name, id, path, content or `Scenario`.

    Parameters
    ----------
    reward : ``"local"``, or a reward of `IDNEnv`, which all agents share.
    padded : give all agents the spaces of the node with most placements, as SuperSuit's vectorisation needs them.
    arguments : the others of `IDNEnv`.

    Raises
    ------
    IdnError
        As `IDNEnv`, and where the scenario has chains.
    """
    local = isinstance(reward, str) and reward == "local"
    return NodesEnv(IDNEnv(scenario, reward="gain" if local else reward, **arguments), local, padded)


class NodesEnv(ParallelEnv[str, Observation, IntArray]):  # type: ignore[misc] # it is not typed
    """Every node that has a budget and a model for it decides alone what it holds.

    ## Description
    The same network, stream and serving as in `IDNEnv`, seed by seed: a joint action is its action, put together node
    by node. An agent has the name of its node and sees what a node of the distributed protocol knows or hears.

    ## Action Space
    `MultiBinary(n)` over the node's own n placements, in file order (`placements(agent)` says which of the network's).
    Repair, or with `infeasible="raise"` an error, as in `IDNEnv`.

    ## Observation Space
    A `Dict` of 1-D boxes, float32 but for the mask, of the last slot served:

    | key | shape | meaning |
    |---|---|---|
    | `allocation` | (n,) | what the node holds: 1 or 0 |
    | `capacities` | (n,) | requests each placement could serve; nominal after reset |
    | `shares` | (C n,) | a = min(1, capacity / requests that come by) per class, the highest first |
    | `gains` | (n,) | ms: the supergradient of the gain at what was placed; 0 after reset |
    | `budget` | (1,) | MB |
    | `action_mask` | (n,) int8 | 0: never fits; 2: may be 0 or 1, as `MultiBinary.sample` takes masks |

    `gains` are the sums over types of r a max(0, gamma_K* - C) that a node computes from the counts and prices it
    hears (docs/protocol.md).

    ## Rewards
    Shared, all agents get what `IDNEnv` pays. `reward="local"`: ms that the requests which the node's own placements
    served cost less there than at the repository, less `update_weight` x MB that the node loaded, less
    `price_weight` x price of what it holds. Local rewards add up to the reward of `IDNEnv` with `reward="gain"`.

    ## Information
    That of `IDNEnv`, but `repaired` and `model_update_mb` of the node alone, and `saved_ms`, the local saving.

    ## Episode End
    All agents are truncated together after `horizon` slots.

    ## Padding
    `padded=True`: every agent has the spaces of the node with most placements. What it does not have is 0 in
    observation and mask, and is ignored in actions.
    """

    def __init__(self, env: IDNEnv, local: bool = False, padded: bool = False) -> None:
        self.env, self.network = env, env.network
        self._service = RankedService.of(self.network.service, "the multi-agent view")
        start, names = self.network.node_start, self.network.node_names
        self._own = {
            names[v]: slice(int(start[v]), int(start[v + 1]))
            for v in range(self.network.V)
            if self.network.budgets[v] > 0 and start[v + 1] > start[v]
        }
        if not self._own:
            raise IdnError("the multi-agent view: no node has a budget and a model that runs there")
        self._node = {name: v for v, name in enumerate(names)}
        self._local, self._price_weight = local, self.network.price_weight
        self.metadata: dict[str, Any] = {**IDNEnv.metadata, "name": "idn", "is_parallelizable": True}
        self.render_mode = env.render_mode
        self.possible_agents = list(self._own)
        self.agents: list[str] = []
        widths = {agent: own.stop - own.start for agent, own in self._own.items()}
        most = max(widths.values())
        self._widths = dict.fromkeys(widths, most) if padded else widths
        self.observation_spaces: dict[str, spaces.Space[Any]] = {
            agent: self._observed(width) for agent, width in self._widths.items()
        }
        self.action_spaces: dict[str, spaces.Space[Any]] = {
            agent: spaces.MultiBinary(width) for agent, width in self._widths.items()
        }
        self.state_space = spaces.flatten_space(env.observation_space)

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """See the class."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """See the class."""
        return self.action_spaces[agent]

    def placements(self, agent: str) -> range:
        """The network's placements that an agent decides on, in the order of its action."""
        own = self._own[agent]
        return range(own.start, own.stop)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, Information]]:
        """Empty every node and start the stream anew, as `IDNEnv.reset`."""
        self._shown, information = self.env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._observations(), self._information(information, np.zeros(self.network.P), {}, {})

    def step(
        self, actions: Mapping[str, IntArray]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Information]]:
        """Place what the agents say, draw a slot and serve it; see the class.

        Raises
        ------
        IdnError
            If an agent's action is missing, one is of no agent, or one is no action.
        """
        before = self._shown["allocation"]
        asked = self._joint(actions)
        self._shown, reward, _, over, information = self.env.step(asked)
        held = self._shown["allocation"]
        requests, capacities = self.env.last_batch
        saved = self._service.saved(requests, capacities, held.astype(np.float64))
        new = self.network.sizes * (held > before)
        loaded = {agent: float(new[own].sum()) for agent, own in self._own.items()}
        refused = {agent: int((asked[own] > held[own]).sum()) for agent, own in self._own.items()}
        information = self._information(information, saved, loaded, refused)
        rewards = {agent: self._paid(agent, held, information[agent]) if self._local else reward for agent in self._own}
        observations = self._observations()
        truncated = dict.fromkeys(self._own, over)
        self.agents = [] if over else self.agents
        return observations, rewards, dict.fromkeys(self._own, False), truncated, information

    def state(self) -> Any:
        """What `IDNEnv` shows, flat: `state_space`."""
        return spaces.flatten(self.env.observation_space, self._shown)

    def render(self) -> Any:
        """As `IDNEnv.render`."""
        return self.env.render()

    def close(self) -> None:
        """As `IDNEnv.close`."""
        self.env.close()

    def _joint(self, actions: Mapping[str, IntArray]) -> IntArray:
        """(P,) the action of the network that the agents' actions are."""
        if strange := [agent for agent in actions if agent not in self._own]:
            raise IdnError(f"actions: {parameters.shown(strange[0])} is no agent; allowed: {', '.join(self._own)}")
        joint = np.zeros(self.network.P, dtype=np.int8)
        for agent, own in self._own.items():
            if agent not in actions:
                raise IdnError(f"actions: none for {agent!r}; every agent must act in every slot")
            action = as_array(f"actions[{agent!r}]", actions[agent])
            if action.shape != (self._widths[agent],):
                raise IdnError(f"actions[{agent!r}]: shape {action.shape}; must be ({self._widths[agent]},)")
            if not ((action == 0) | (action == 1)).all():
                raise IdnError(f"actions[{agent!r}]: {parameters.shown(action.tolist())}; must be 0 or 1 each")
            joint[own] = action[: own.stop - own.start]
        return joint

    def _observations(self) -> dict[str, Observation]:
        """What each agent sees of the last slot."""
        requests, capacities = self.env.last_batch
        held = self._shown["allocation"]
        shares = self._service.shares(requests, capacities)
        _, gains = kernels.gain_and_subgradient(
            self.network, requests[None], capacities[None], held[None].astype(np.float64)
        )
        shown = shown_capacities(capacities)
        worth = np.minimum(gains[0], LARGEST).astype(np.float32)
        fits = np.where(self.network.fits, _FREE, 0).astype(np.int8)
        return {
            agent: {
                "allocation": self._wide(agent, held[own]),
                "capacities": self._wide(agent, shown[own]),
                "shares": np.concatenate([self._wide(agent, share[own].astype(np.float32)) for share in shares]),
                "gains": self._wide(agent, worth[own]),
                "budget": self._shown["budgets"][self._node[agent]][None],
                "action_mask": self._wide(agent, fits[own]),
            }
            for agent, own in self._own.items()
        }

    def _wide(self, agent: str, values: Any) -> Any:
        """Values of a node's placements, zeros behind them where it is padded."""
        return np.concatenate([values, np.zeros(self._widths[agent] - len(values), dtype=values.dtype)])

    def _information(
        self, information: Information, saved: FloatArray, loaded: Mapping[str, float], refused: Mapping[str, int]
    ) -> dict[str, Information]:
        return {
            agent: {
                **information,
                "model_update_mb": np.float64(loaded.get(agent, 0.0)),
                "repaired": np.int64(refused.get(agent, 0)),
                "saved_ms": np.float64(saved[own].sum()),
            }
            for agent, own in self._own.items()
        }

    def _paid(self, agent: str, held: FloatArray, information: Information) -> float:
        """The local reward; see the class."""
        own = self._own[agent]
        lost = self.env.update_weight * information["model_update_mb"]
        return float(information["saved_ms"] - lost - self._price_weight * (self.network.prices[own] * held[own]).sum())

    def _observed(self, width: int) -> spaces.Dict:
        def box(size: int, high: float) -> spaces.Box:
            return spaces.Box(0.0, np.float32(high), (size,), np.float32)

        return spaces.Dict(
            {
                "allocation": box(width, 1.0),
                "capacities": box(width, LARGEST),
                "shares": box(self._service.classes * width, 1.0),
                "gains": box(width, LARGEST),
                "budget": box(1, max(1.0, self.network.budgets.max())),
                "action_mask": spaces.Box(0, _FREE, (width,), np.int8),
            }
        )
