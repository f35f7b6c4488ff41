"""A Stable-Baselines3 model as an agent: ``play(network, trace, Sb3Agent(model), seed)``.

Whatever view the model was trained through, the environment's own wrappers turn observations and actions for it here.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation

from idn_agents.agent import generator, observed
from idn_gym.env.env import IDNEnv, Observation, as_bits
from idn_gym.env.outcome import Information, unserved
from idn_gym.env.repair import grant
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray
from idn_gym.wrappers import OnePlacementAtATime, ScoreAction

Env = gymnasium.Env[Any, Any]


class Sb3Agent:
    """What a model of Stable-Baselines3 or sb3-contrib has learnt, or anything else with its `predict` and its spaces.

    Takes a model that was trained on `IDNEnv`, on its vector environment through `idn_gym.sb3.SB3VecEnv`, and through
    `ScoreAction`, `OnePlacementAtATime` and Gymnasium's `FlattenObservation`, which its spaces tell. Allocations that
    do not fit are repaired as the environment repairs them. Masks are given to models that take them, and what a
    `VecNormalize` around the model's environment has learnt is applied.

    Parameters
    ----------
    model : as `learn` left it, or `load` read it.
    deterministic : whether the likeliest action is taken; else actions are drawn, by the seed of the run.
    wrap : puts the wrappers of the training around an `IDNEnv`, where they have arguments, or are others; they are
        reset in every slot. None: those that the model's spaces tell, with their defaults.
    """

    def __init__(self, model: Any, deterministic: bool = True, wrap: Callable[[Env], Env] | None = None) -> None:
        for name in ("predict", "observation_space", "action_space"):
            if not hasattr(model, name):
                raise IdnError(f"model: {type(model).__name__} has no {name}; must be a Stable-Baselines3 model")
        self._model, self._deterministic = model, deterministic
        self._wrap = wrap
        self._normalised = getattr(model, "get_vec_normalize_env", lambda: None)()
        self._masked = "action_masks" in inspect.signature(model.predict).parameters

    def accepts(self, network: Network) -> None:
        """A network for which observations and actions are those that the model was trained on."""
        env = self._wrapped(_Slot(network))
        here, there = (_shapes(of.observation_space, of.action_space) for of in (env, self._model))
        if here != there:
            raise IdnError(f"model: was trained on {there}; scenario {network.scenario.name} has {here}")

    def reset(self, network: Network, seed: int) -> None:
        """Start anew on a network that the model accepts."""
        self.accepts(network)
        self._network, self._slot = network, _Slot(network)
        self._env = self._wrapped(self._slot)
        self._state: Any = None  # of recurrent policies
        self._began = True
        self._generator = generator(seed)

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """(P,) int8: what is granted of the model's action, or of its actions up to the one that commits."""
        observed(self._network, observation, "requests", "capacities", "allocation")
        self._slot.show(observation)
        seen, _ = self._env.reset()
        while self._slot.granted is None:
            seen, *_ = self._env.step(self._chosen(seen))
        return self._slot.granted

    def info(self) -> dict[str, Any]:
        return {"algorithm": type(self._model).__name__, "deterministic": self._deterministic}

    def __getstate__(self) -> dict[str, Any]:
        """The model as SB3 saves it: the environment that it was trained on may not pickle."""
        state = {key: value for key, value in vars(self).items() if key != "_env"}
        if hasattr(self._model, "save"):
            file = io.BytesIO()
            self._model.save(file)
            state["_model"] = type(self._model), file.getvalue()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["_model"], tuple):
            kind, content = state["_model"]
            state["_model"] = kind.load(io.BytesIO(content))
        vars(self).update(state)
        if "_slot" in state:
            self._env = self._wrapped(self._slot)

    def _wrapped(self, env: Env) -> Env:
        """The environment as the model sees it."""
        if self._wrap is not None:
            return self._wrap(env)
        if isinstance(self._model.action_space, spaces.Discrete):
            env = OnePlacementAtATime(env)
        elif isinstance(self._model.action_space, spaces.Box):
            env = ScoreAction(env)
        return FlattenObservation(env) if isinstance(self._model.observation_space, spaces.Box) else env

    def _chosen(self, seen: Any) -> Any:
        """The model's action."""
        if self._normalised is not None:
            seen = self._normalised.normalize_obs(seen)
        how: dict[str, Any] = {"deterministic": self._deterministic}
        if self._masked:
            how["action_masks"] = self._masks()
        with self._seeded():
            action, self._state = self._model.predict(seen, self._state, np.array([self._began]), **how)
        self._began = False
        return action

    def _masks(self) -> Any:
        """As the environment has them: per action, or per placement whether its bit may be 0 and 1."""
        if self._env.has_wrapper_attr("action_masks"):
            return self._env.get_wrapper_attr("action_masks")()
        return np.stack([np.ones_like(self._network.fits), self._network.fits], axis=1).ravel()

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Draws of the model, which takes them from global generators, come from the agent's own."""
        if self._deterministic:
            yield
            return
        import torch

        before = np.random.get_state()  # noqa: NPY002 - where SB3 takes its numbers from
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self._generator.integers(2**63)))
            np.random.seed(int(self._generator.integers(2**32)))  # noqa: NPY002
            self._model.action_space.seed(int(self._generator.integers(2**31)))
            try:
                yield
            finally:
                np.random.set_state(before)  # noqa: NPY002


class _Slot(IDNEnv):
    """One slot of the environment, for wrappers: shows what an agent is shown, and keeps what it grants."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.scenario.model_copy(update={"workload": None}))
        self.granted: IntArray | None = None

    def show(self, observation: Observation) -> None:
        """Begin the slot after this observation."""
        self._shown, self.granted = observation, None
        self._allocation = observation["allocation"].astype(np.int8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Information]:
        """What is shown."""
        return dict(self._shown), unserved(self.network, 1).row(0)._asdict()

    def step(self, action: IntArray) -> tuple[Observation, float, bool, bool, Information]:
        """Keep what is granted; it is served elsewhere."""
        asked = as_bits("action", action, (self.network.P,))[None]
        self.granted = grant(self.network, asked, self._allocation[None]).allocation[0]
        return dict(self._shown), 0.0, False, True, unserved(self.network, 1).row(0)._asdict()


def _shapes(observation: spaces.Space[Any], action: spaces.Space[Any]) -> str:
    """Spaces as a line says them; bounds do not matter to a model."""
    keys = observation.spaces if isinstance(observation, spaces.Dict) else {"vector": observation}
    seen = ", ".join(f"{key} {space.shape}" for key, space in sorted(keys.items()))
    size = action.n if isinstance(action, spaces.Discrete) else action.shape
    return f"observations {seen} and actions {type(action).__name__} {size}"
