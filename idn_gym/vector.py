"""What ``gymnasium.make_vec`` calls: stands above NumPy's vector environment and the tensors', which needs PyTorch."""

from __future__ import annotations

from typing import Any

from idn_gym.common.extras import require
from idn_gym.common.text import shown
from idn_gym.env.batch import BatchEnv
from idn_gym.env.vector_env import IDNVectorEnv


def make(*, device: Any = None, **others: Any) -> BatchEnv:
    """NumPy in and out, or, with a device, PyTorch tensors on it."""
    if device is None:
        return IDNVectorEnv(**others)
    require("torch", f"device {shown(device)}")
    from idn_gym.batched.vector_env import TensorVectorEnv

    return TensorVectorEnv(device=device, **others)  # type: ignore[abstract]  # makes one of its kinds
