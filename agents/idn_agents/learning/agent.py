"""The agent that a learnt policy is: ``--agent ppo:path=FOLDER``, or ``--agent ppo`` for the one that is shipped.

Whatever learnt it, `ppo_torch` or one of the algorithms of `sb3_training`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from idn_agents.agent import observed
from idn_agents.learning.limits import refuse_priced
from idn_gym.common.extras import require
from idn_gym.common.parameters import shown
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

if TYPE_CHECKING:
    import torch


class Learnt:
    """Fills every node in descending order of the policy's scores, without noise: the same stream, the same actions.

    Parameters
    ----------
    path : folder that ``idn-gym train`` wrote, or its ``policy.json``; without, the shipped policy.
    """

    def __init__(self, path: str | None = None) -> None:
        if path is not None and (not isinstance(path, str) or not path or "\0" in path):
            raise IdnError(f"path: {shown(path)}; must be the folder of a trained policy")
        require("torch", "")
        from idn_agents.learning import checkpoint

        self._path = checkpoint.SHIPPED if path is None else Path(path)
        self._policy = checkpoint.load_policy(self._path)
        self._refuse = checkpoint.refuse_other_network

    def accepts(self, network: Network) -> None:
        """The network it was made for; or, of a policy for any, one whose options are ranked. None with prices."""
        refuse_priced(network, self._path.name)
        self._refuse(self._policy, network, self._path.name)

    def reset(self, network: Network, seed: int) -> None:
        """Start anew on a network that it accepts."""
        self.accepts(network)
        self._network = network
        self._view = self._policy.view(network, 1)

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """(P,) int8: nodes filled in descending order of the scores."""
        import torch

        from idn_agents.learning.threads import one_thread
        from idn_gym import batched

        observed(self._network, observation, "requests", "capacities", "allocation")
        tensors = {key: torch.from_numpy(np.ascontiguousarray(value))[None] for key, value in observation.items()}
        with one_thread(), torch.no_grad():
            scores = self.scores(tensors)
            if not bool(torch.isfinite(scores).all()):
                raise IdnError(f"{self._path}: scores that are not finite; its weights are too large to be of use")
            allocation = batched.pack(self._network, scores)
        return allocation[0].numpy()

    def scores(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        """(1, P) scores of the coming slot, once the policy has seen the last one."""
        found: torch.Tensor = self._policy(self._view.see(observation), self._view)
        return found

    def info(self) -> dict[str, Any]:
        return {"policy": self._policy.kind, "parameters": sum(p.numel() for p in self._policy.parameters())}
