"""Other views of the same environment: continuous scores, and one placement at a time."""

from __future__ import annotations

from numbers import Real
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from idn_gym import kernels
from idn_gym.common import parameters
from idn_gym.env.env import IDNEnv, Observation, as_array
from idn_gym.env.outcome import Information, unserved
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import BoolArray, FloatArray


class ScoreAction(gymnasium.ActionWrapper[Observation, FloatArray, FloatArray], RecordConstructorArgs):
    """A score for every placement instead of a choice: every node is filled in descending order of score.

    ## Description
    Continuous-control algorithms (SAC, TD3, PPO) choose a vector of scores; each node goes through its models from
    the highest score down and places what still fits. So every action is feasible, and only the order of the scores
    at a node matters, not their scale. Ties go to the order in the file.

    ## Action Space
    `Box(-1, 1, (P,), float32)`. A placement with a score below `threshold` is kept out. With the default of -1 none
    is: placing more never lowers the gain, so nodes are filled to the brim. With `threshold=0` a negative score means
    "keep this out", which matters where loading has a price (`update_weight`), and an empty network is possible.
    Placements larger than their node's budget stay out whatever their score.

    ## Observation Space, Rewards, Episode End, Information
    As in `IDNEnv`; `repaired` is always 0.

    ## Arguments
    | argument | default | meaning |
    |---|---|---|
    | `env` | | an `IDNEnv`, wrapped or not, with its own action space |
    | `threshold` | -1 | lowest score that is placed, in [-1, 1] |

    ## Version History
    * v0: first release.
    """

    def __init__(self, env: gymnasium.Env[Observation, FloatArray], *, threshold: float = -1.0) -> None:
        number = isinstance(threshold, Real) and not isinstance(threshold, bool)
        if not (number and -1.0 <= threshold <= 1.0):
            raise IdnError(f"threshold: {parameters.shown(threshold)}; must be in [-1, 1]")
        self._threshold = float(threshold)
        RecordConstructorArgs.__init__(self, threshold=self._threshold)
        super().__init__(env)
        self._network = _network_of(env)
        self.action_space = spaces.Box(-1.0, 1.0, (self._network.P,), np.float32)

    def action(self, action: FloatArray) -> FloatArray:
        """The allocation (P,) int8 that scores (P,) stand for.

        Raises
        ------
        IdnError
            If the shape is another, or a score is not a number: a policy that has diverged should be seen to have.
        """
        scores = as_array("action", action, dtype=np.float64)
        if scores.shape != (self._network.P,) or np.isnan(scores).any():
            raise IdnError(f"action: shape {scores.shape}; must be ({self._network.P},) scores without NaN")
        priority = np.where(scores >= self._threshold, scores, -np.inf)
        allocation: FloatArray = kernels.pack(self._network, priority[None])[0]
        return allocation


class OnePlacementAtATime(gymnasium.Wrapper[Observation, Any, Observation, Any], RecordConstructorArgs):
    """Edit the allocation placement by placement, then commit it: a discrete action space with exact masks.

    ## Description
    A memory budget couples the placements of a node, which independent bits cannot express. Here one action toggles
    one placement of a pending allocation, which starts from what is placed, and a last one commits it and serves the
    slot. Whatever the masks allow is feasible, so nothing is ever repaired. Works with DQN and PPO, and with masks in
    `sb3_contrib.MaskablePPO`.

    ## Action Space
    `Discrete(P + 1)`: p < P toggles placement p, P commits. `action_masks()`, (P + 1,) bool, says what is allowed:
    removing always, adding where the model fits in the room left at its node, a placement toggled already in this
    slot not again, committing always. An action that is not allowed changes nothing.

    ## Observation Space
    As in `IDNEnv`, but `allocation` is the pending one. The other keys change only when a slot is served.

    ## Rewards
    0 for a toggle; the reward of the slot for the action that serves it.

    ## Episode End
    As in `IDNEnv`: truncated when the last slot has been served, so an episode takes more steps than slots. A slot is
    served without a commit once `max_toggles` actions were no commit, by the last of them; no policy can hang.

    ## Information
    That of `IDNEnv` about the slot that the action served; a toggle serves none, and is informed of as a reset is:
    `slot` is -1, all else 0. And `action_mask`, (P + 1,) int8: `action_masks()` for the next action, as
    `Discrete.sample(mask)` takes it; `refused`, int64: actions of this slot that were not allowed.

    ## Arguments
    | argument | default | meaning |
    |---|---|---|
    | `env` | | an `IDNEnv`, wrapped or not, with its own action space and observations as a Dict |
    | `max_toggles` | P | actions other than commit before a slot is served all the same, at least 1 |

    ## Version History
    * v0: first release.
    """

    def __init__(self, env: gymnasium.Env[Observation, Any], *, max_toggles: int | None = None) -> None:
        if max_toggles is not None:
            max_toggles = parameters.whole("max_toggles", max_toggles)
        RecordConstructorArgs.__init__(self, max_toggles=max_toggles)
        super().__init__(env)
        self._network = _network_of(env)
        if not (isinstance(env.observation_space, spaces.Dict) and "allocation" in env.observation_space.spaces):
            raise IdnError("observation space: must be a Dict with the key 'allocation'; flatten outside this wrapper")
        self._max_toggles: int = max(1, self._network.P) if max_toggles is None else max_toggles
        self.action_space = spaces.Discrete(self._network.P + 1)
        self._over: bool = True  # until reset

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Information]:
        """Reset the environment; the pending allocation is empty."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._over = False
        self._begin(observation)
        return self._pending_observation(), info | self._masks_and_refusals(0)

    def step(self, action: int) -> tuple[Observation, float, bool, bool, Information]:
        """Toggle a placement of the pending allocation, or commit it; see the class."""
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode is over, or has not begun; call reset")
        asked = as_array("action", action)  # DQN's is an array
        if not (asked.size == 1 and asked.dtype.kind in "iu" and 0 <= (p := int(asked.item())) <= self._network.P):
            raise IdnError(f"action: {parameters.shown(action)}; must be in 0..{self._network.P}")
        if p < self._network.P:
            self._toggle(p)
            if self._actions < self._max_toggles:
                info = unserved(self._network, 1).row(0)._asdict() | self._masks_and_refusals(self._refused)
                return self._pending_observation(), 0.0, False, False, info
        refused = self._refused
        observation, reward, terminated, truncated, info = self.env.step(self._pending.astype(np.int8))
        self._over = terminated or truncated
        self._begin(observation)
        info = info | self._masks_and_refusals(refused)
        return self._pending_observation(), float(reward), terminated, truncated, info

    def action_masks(self) -> BoolArray:
        """(P + 1,) True where an action is allowed; the name is the one that `MaskablePPO` looks for."""
        network = self._network
        left = room(network.budgets) - network.memory_in_use(self._pending)
        possible = (self._pending == 1) | (network.sizes <= left[network.placement_node])
        return np.append(possible & ~self._toggled, True)

    def _begin(self, observation: Observation) -> None:
        """Start editing from what is placed."""
        self._observation = observation
        self._pending = observation["allocation"].copy()
        self._toggled: BoolArray = np.zeros(self._network.P, dtype=np.bool_)
        self._actions = self._refused = 0

    def _toggle(self, p: int) -> None:
        self._actions += 1
        if self.action_masks()[p]:
            self._pending[p] = 1 - self._pending[p]
            self._toggled[p] = True
        else:
            self._refused += 1

    def _pending_observation(self) -> Observation:
        # copies, since users keep the observations they were given
        return {key: value.copy() for key, value in (self._observation | {"allocation": self._pending}).items()}

    def _masks_and_refusals(self, refused: int) -> Information:
        return {"action_mask": self.action_masks().astype(np.int8), "refused": np.int64(refused)}


def _network_of(env: gymnasium.Env[Any, Any]) -> Network:
    """The network behind an environment that takes allocations as actions."""
    if not isinstance(env.unwrapped, IDNEnv):
        raise IdnError(f"{env.unwrapped!r}: must be an idn_gym environment")
    network = env.unwrapped.network
    if env.action_space != spaces.MultiBinary(network.P):
        raise IdnError(f"action space {env.action_space}; must be MultiBinary({network.P}): one view at a time")
    return network
