"""Training with Stable-Baselines3 and sb3-contrib on the vector environment, with scores as actions.

What is kept is weights alone: SB3's own archives run code when they are read, so none is written or read here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.save_util import recursive_getattr
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnvWrapper
from torch import nn

from idn_agents.learning.callbacks import named
from idn_agents.learning.checkpoint import WIDEST, refuse_large, restore_optimiser
from idn_agents.learning.limits import refuse_options, refuse_untrainable
from idn_agents.learning.policy import FlatPolicy, FlatView
from idn_agents.learning.threads import one_thread
from idn_gym import kernels
from idn_gym.common import parameters
from idn_gym.common.extras import missing
from idn_gym.common.parameters import whole
from idn_gym.env.rewards import gain_per_request
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.sb3 import SB3VecEnv
from idn_gym.scenario import Scenario

Row = dict[str, float]
_LARGEST_SEED = 2**32 - 1  # of NumPy's old generator, which SB3 seeds too
_LEAST_SLOTS = 8  # of a rollout
_PIECES = 20  # of training, between which it can be interrupted


@dataclass(frozen=True)
class SB3:
    """What training depends on, besides the scenario and the seed; the rest is as SB3 has it by default."""

    algo: str
    _: KW_ONLY
    steps: int = 200_000
    envs: int = 16
    slots: int = 240  # of an episode
    hidden: int = 64  # of both layers
    learning_rate: float = 3e-4
    discount: float = 0.5
    update_weight: float = 0.0

    def __post_init__(self) -> None:
        refuse_options(self)
        whole("hidden", self.hidden, highest=WIDEST)


class LearnerVecEnv(VecEnvWrapper):
    """Normalised flat observations, and, unless actions are bits, scores that nodes are filled by.

    Parameters
    ----------
    env : an `SB3VecEnv`.
    bits : leave actions as ``MultiBinary(P)``, with masks of what fits, for `MaskablePPO`.
    """

    def __init__(self, env: SB3VecEnv, bits: bool = False) -> None:
        network: Network = env.env.network
        self._network, self._bits, self._view = network, bits, FlatView(network)
        width = FlatView.width(network)
        observation = spaces.Box(0.0, np.inf, (width,), np.float32)
        action = spaces.MultiBinary(network.P) if bits else spaces.Box(-1.0, 1.0, (network.P,), np.float32)
        super().__init__(env, observation, action)

    def reset(self) -> Any:
        """Observations (B, R + 2P)."""
        observation: Any = self.venv.reset()
        return self._flat(observation)

    def step_async(self, actions: Any) -> None:
        """Hand on the actions, scores as the allocations that they stand for."""
        if not self._bits:
            actions = kernels.pack(self._network, np.asarray(actions, dtype=np.float64))
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        """As SB3 has it."""
        observation: Any
        observation, rewards, dones, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                last = {key: value[None] for key, value in info["terminal_observation"].items()}
                info["terminal_observation"] = self._flat(last)[0]
        return self._flat(observation), rewards, dones, infos

    def _flat(self, observation: dict[str, Any]) -> Any:
        return self._view.see({key: torch.as_tensor(value) for key, value in observation.items()}).numpy()


class SB3Trainer:
    """Trains by pieces: ``for row in SB3Trainer(...).chapters(): ...``; resumed at a piece, environments begin anew.

    SAC's replay buffer is not kept: resumed, it fills again before learning goes on. What is in `callbacks`, of SB3's
    kind, is told of every step, and of the beginning and end of each piece; one that returns False ends the training.

    Raises
    ------
    IdnError
        If the seed is beyond what SB3 takes, there is nothing to draw requests from, or too much to hold at once.
    """

    def __init__(self, scenario: Scenario, options: SB3, seed: int = 0, device: str = "cpu") -> None:
        self.options, self._seed = options, parameters.seed(seed, _LARGEST_SEED)
        sizes = FlatView.width(network := Network.compile(scenario)), network.P
        with torch.device("meta"):  # takes no memory, however large
            refuse_large(FlatPolicy(*sizes, (options.hidden,) * 2), f"hidden: {options.hidden}")
        refuse_untrainable(network, options.envs, _LEAST_SLOTS * sizes[0])
        env = gymnasium.make_vec(
            "IDN/Scenario-v0",
            num_envs=options.envs,
            scenario=scenario,
            horizon=options.slots,
            reward=gain_per_request,  # less update_weight x MB, not per request
            update_weight=options.update_weight,
            autoreset_mode="SameStep",
        )
        self._env = LearnerVecEnv(SB3VecEnv(env), bits=options.algo == "maskable-ppo")
        self._sizes = sizes
        arguments: dict[str, Any] = {"learning_rate": options.learning_rate, "gamma": options.discount}
        arguments |= {"policy_kwargs": {"net_arch": [options.hidden] * 2}, "seed": seed, "device": device}
        if options.algo == "sac":
            arguments |= {"learning_starts": min(1_000, options.steps // 10), "buffer_size": min(options.steps, 20_000)}
        elif options.algo != "a2c":
            slots = max(_LEAST_SLOTS, min(2048, options.steps // _PIECES) // options.envs)
            whole = next(size for size in range(64, 0, -1) if slots * options.envs % size == 0)
            arguments |= {"n_steps": slots, "batch_size": whole}
        self.callbacks: Sequence[BaseCallback] = ()
        self.model: Any = _algorithm(options.algo)("MlpPolicy", self._env, **arguments)

    def chapters(self) -> Iterator[Row]:
        """Train to the end; after each piece its row of the learning curve."""
        piece = max(self.options.envs, self.options.steps // _PIECES)
        while self.model.num_timesteps < self.options.steps:
            record, own = _Record(), _Own(list(self.callbacks))
            left = self.options.steps - self.model.num_timesteps
            with one_thread():
                try:
                    self.model.learn(min(piece, left), callback=[record, own], reset_num_timesteps=False)
                except IdnError:
                    raise
                except ValueError as error:  # PyTorch's, of a distribution whose parameters are not numbers any more
                    raise IdnError(f"training: diverged, {str(error).split('(')[0]}") from None
            row = record.row(self.options.update_weight)
            yield {"steps": float(self.model.num_timesteps), **row}
            if own.stopped:
                return

    @property
    def steps(self) -> int:
        """Slots that training plays."""
        return self.options.steps

    def state(self) -> dict[str, Any]:
        """Weights and optimisers, as tensors and numbers."""
        state = {"parameters": self.model.get_parameters(), "steps": self.model.num_timesteps}
        if hasattr(self.model, "log_ent_coef"):
            state["log_ent_coef"] = self.model.log_ent_coef.detach()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, on new streams."""
        steps = whole("steps", state["steps"], 0, 2 * self.options.steps + 2**20)
        self.model.set_parameters(copy.deepcopy(state["parameters"]), exact_match=True)
        for name, given in state["parameters"].items():
            part = recursive_getattr(self.model, name)
            if isinstance(part, torch.optim.Optimizer):
                restore_optimiser(part, given)
        self.model.num_timesteps = steps
        if hasattr(self.model, "log_ent_coef"):
            self.model.log_ent_coef.data.copy_(state["log_ent_coef"])
        seed = int(np.random.SeedSequence([self._seed, self.model.num_timesteps]).generate_state(1)[0]) % 2**31
        set_random_seed(seed)
        self._env.seed(seed)

    @property
    def policy(self) -> FlatPolicy:
        """What has been learnt, as a network that needs no SB3."""
        model = self.model.policy
        if self.options.algo == "sac":
            layers, last = [*model.actor.latent_pi], model.actor.mu
        else:
            layers, last = [*model.mlp_extractor.policy_net], model.action_net
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        activation = "relu" if any(isinstance(layer, nn.ReLU) for layer in layers) else "tanh"
        hidden = tuple(layer.out_features for layer in linear)
        with torch.random.fork_rng(devices=[]):  # looking at the policy takes no numbers from training
            policy = FlatPolicy(*self._sizes, hidden, activation)
        weights, biases = last.weight.detach(), last.bias.detach()
        if self.options.algo == "maskable-ppo":  # two logits per bit: the score is what speaks for placing
            weights, biases = weights[1::2] - weights[0::2], biases[1::2] - biases[0::2]
        values = [(layer.weight.detach(), layer.bias.detach()) for layer in linear] + [(weights, biases)]
        own = [layer for layer in policy.actor if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for layer, (weight, bias) in zip(own, values, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        return policy


class _Record(BaseCallback):
    """Averages over what has been collected."""

    def __init__(self) -> None:
        super().__init__()
        self._rewards: list[float] = []
        self._loaded: list[float] = []

    def _on_step(self) -> bool:
        self._rewards.append(float(np.mean(self.locals["rewards"])))
        self._loaded.append(float(np.mean([info["model_update_mb"] for info in self.locals["infos"]])))
        return True

    def row(self, update_weight: float) -> Row:
        """Gain per request and MB loaded."""
        loaded = float(np.mean(self._loaded))
        return {"gain_per_request": float(np.mean(self._rewards)) + update_weight * loaded, "model_update_mb": loaded}


class _Own(CallbackList):
    """Users' callbacks; what goes wrong in one is a line."""

    stopped = False

    def _init_callback(self) -> None:
        with named("of Stable-Baselines3"):
            super()._init_callback()

    def _on_training_start(self) -> None:
        with named("of Stable-Baselines3"):
            super()._on_training_start()

    def _on_rollout_start(self) -> None:
        with named("of Stable-Baselines3"):
            super()._on_rollout_start()

    def _on_step(self) -> bool:
        with named("of Stable-Baselines3"):
            self.stopped = not super()._on_step()
        return not self.stopped

    def _on_rollout_end(self) -> None:
        with named("of Stable-Baselines3"):
            super()._on_rollout_end()

    def _on_training_end(self) -> None:
        with named("of Stable-Baselines3"):
            super()._on_training_end()


def _algorithm(name: str) -> Any:
    if name != "maskable-ppo":
        return {"ppo": PPO, "a2c": A2C, "sac": SAC}[name]
    try:
        from sb3_contrib import MaskablePPO
    except ImportError as error:
        raise missing("rl", "maskable-ppo", "sb3_contrib", error) from None
    return MaskablePPO
