"""The mathematics of the environment over batches of tensors: on the CPU, on CUDA, on any PyTorch device."""

from idn_gym.batched.feasible import memory, mirror_step, node_maximum, pack, project, round_dependent
from idn_gym.batched.serving import gain, gain_and_subgradient, serve
from idn_gym.batched.tables import accepts
from idn_gym.batched.vector_env import TensorVectorEnv

__all__ = [
    "TensorVectorEnv",
    "accepts",
    "gain",
    "gain_and_subgradient",
    "memory",
    "mirror_step",
    "node_maximum",
    "pack",
    "project",
    "round_dependent",
    "serve",
]
