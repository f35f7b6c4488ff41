"""The mathematics of the environment over batches of tensors: on the CPU, on CUDA, on any PyTorch device."""

from idn_gym.common.extras import require

require("torch", "idn_gym.batched")  # before its modules, which import it at once

# isort: split
from idn_gym.batched.feasible import memory, mirror_step, node_maximum, pack, project, round_dependent  # noqa: E402
from idn_gym.batched.serving import gain, gain_and_subgradient, serve  # noqa: E402
from idn_gym.batched.tables import accepts  # noqa: E402
from idn_gym.batched.vector_env import TensorVectorEnv  # noqa: E402

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
