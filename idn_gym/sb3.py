"""The vector environment as Stable-Baselines3 takes it: PPO and MaskablePPO train on all environments at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from idn_gym.common.extras import missing
from idn_gym.env.vector_env import IDNVectorEnv
from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise missing("rl", "idn_gym.sb3", "stable_baselines3", error) from None


class SB3VecEnv(VecEnv):
    """``SB3VecEnv(gymnasium.make_vec(id, num_envs=B, autoreset_mode="SameStep"))``: an `IDNVectorEnv` for SB3.

    Parameters
    ----------
    env : with NumPy in and out, and autoreset mode ``SameStep``, which is the one that SB3 knows.
    """

    def __init__(self, env: Any) -> None:
        inner = getattr(env, "unwrapped", env)
        if type(inner) is not IDNVectorEnv or inner.metadata["autoreset_mode"].value != "SameStep":
            raise IdnError("env: must be an idn_gym vector environment without device, of autoreset_mode='SameStep'")
        self.env = inner
        self._actions: FloatArray | None = None
        self.render_mode = inner.render_mode
        super().__init__(inner.num_envs, inner.single_observation_space, inner.single_action_space)

    def reset(self) -> Any:
        """Observations alone; seeds set by `seed` are used once. What `reset_infos` holds has the keys of a step's."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        observation, infos = self.env.reset(seed=seeds)
        self._reset_seeds()
        self.reset_infos = [_of_one(infos, i) | {"TimeLimit.truncated": False} for i in range(self.num_envs)]
        return observation

    def step_async(self, actions: FloatArray) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        """Observations, rewards, dones, and a dict per environment."""
        observation, rewards, _, truncated, infos = self.env.step(self._actions)
        final = infos.pop("final_info", {})
        last = infos.pop("final_obs", None)
        each: list[dict[str, Any]] = []
        for i, done in enumerate(truncated.tolist()):
            info = _of_one(final if done else infos, i) | {"TimeLimit.truncated": done}
            if done and last is not None:
                info["terminal_observation"] = last[i]
            each.append(info)
        return observation, rewards.astype(np.float32), truncated, each

    def close(self) -> None:
        self.env.close()

    def get_images(self) -> Sequence[Any]:
        return list(self.env.render() or [])

    def has_attr(self, attr_name: str) -> bool:
        return hasattr(self.env, attr_name)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise IdnError(f"{attr_name}: one environment's attributes cannot be set apart from the others'")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """A method of the vector environment whose result has a row per environment, such as `action_masks`."""
        result = getattr(self.env, method_name)(*args, **kwargs)
        return [result[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]


def _of_one(infos: dict[str, Any], i: int) -> dict[str, Any]:
    """Information of one environment, without the masks."""
    return {key: values[i] for key, values in infos.items() if not key.startswith("_")}
