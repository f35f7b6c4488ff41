"""What ``gymnasium.make_vec`` calls: stands above NumPy's vector environment and the tensors', which needs PyTorch."""

from __future__ import annotations

from typing import Any

from idn_gym.env.batch import BatchEnv
from idn_gym.env.vector_env import IDNVectorEnv
from idn_gym.errors import IdnError


def make(*, device: Any = None, **others: Any) -> BatchEnv:
    """NumPy in and out, or, with a device, PyTorch tensors on it."""
    if device is None:
        return IDNVectorEnv(**others)
    try:
        from idn_gym.batched.vector_env import TensorVectorEnv
    except ImportError as error:
        raise IdnError(f"device: {device!r} needs PyTorch; pip install 'idn-gym[torch]' ({error})") from None
    return TensorVectorEnv(device=device, **others)  # type: ignore[abstract]  # makes one of its kinds
