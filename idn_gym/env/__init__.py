"""The environments of Gymnasium, scalar and vector, and what they show."""

from idn_gym.env.env import IDNEnv
from idn_gym.env.vector_env import IDNVectorEnv

__all__ = ["IDNEnv", "IDNVectorEnv"]
