"""Many environments in one, on arrays: the native Gymnasium vector environment behind the registered ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from idn_gym.common import parameters
from idn_gym.env.batch import EVERY, Array, BatchEnv, Values
from idn_gym.env.buffers import Buffers, show
from idn_gym.env.env import IDNEnv, as_bits
from idn_gym.env.outcome import by_tier, tier_places, unserved
from idn_gym.env.repair import Granted, grant, serve_granted
from idn_gym.errors import IdnError
from idn_gym.model.service import Served
from idn_gym.typing import BoolArray, FloatArray
from idn_gym.workload.streams import Rows, Streams
from idn_gym.workload.trace import LARGEST


class IDNVectorEnv(BatchEnv):
    """`IDNEnv` B times, stepped in one call: ``gymnasium.make_vec(id, num_envs=B)``.

    ## Description
    What is observed, done and paid is as in `IDNEnv`, with a leading axis B. Environment i, reset with seed s, is
    bitwise the scalar environment reset with seed s + i. Every observation is its receiver's, to keep and to write to:
    its arrays are those of an earlier one only if nobody holds any of them, or a view of it. With ``copy=False`` each
    observation overwrites the one before, in the same arrays, which are then to be read alone.

    ## Information
    That of `IDNEnv` as arrays (B, ...), and beside every key its mask `_key`, (B,) bool: all True, but for a partial
    reset, which informs of the environments that it resets. A step that begins an episode (``NextStep``) informs of a
    reset. Under ``SameStep`` the step that ends an episode has also `final_obs` and `final_info`.

    ## Arguments
    Those of `IDNEnv`, and:

    | argument | default | meaning |
    |---|---|---|
    | `num_envs` | 1 | B |
    | `variants` | none | B sets of overrides, on top of `overrides`, that change rates, budgets or capacities |
    | `max_episode_steps` | none | the least of it and `horizon` ends an episode; -1 is none |
    | `autoreset_mode` | `"NextStep"` | or `"SameStep"`, `"Disabled"`; an `AutoresetMode` or its value |
    | `copy` | `True` | `False`: all observations in the same arrays, as above |
    | `device` | none | PyTorch device: tensors in and out, see `idn_gym.batched.TensorVectorEnv` |

    ## Episode End
    All three modes of Gymnasium. In a partial reset, ``reset(options={"reset_mask": mask})``, with mask (B,) bool,
    the others stay where they are.

    ## Version History
    * v0: first release.
    """

    def __init__(self, scenario: Any = None, *, copy: bool = True, **others: Any) -> None:
        if not isinstance(copy, bool):
            raise IdnError(f"copy: {parameters.shown(copy)}; must be True or False")
        self._buffers = Buffers(copy)
        self._steady = False  # whether capacities were last observed as nominal
        super().__init__(scenario, **others)

    def _make_streams(self, env: IDNEnv) -> Any:
        return Streams(self.networks, env.replay)

    def _allocate(self) -> None:
        rows, network = self.num_envs, self.network
        self._requests = np.zeros((rows, network.R))
        self._allocation = np.zeros((rows, network.P), dtype=np.int8)
        self._by_node = np.zeros((rows, network.V))
        self._nominal = np.minimum(self._streams.nominal, LARGEST).astype(np.float32)
        self._capacities = self._nominal
        self._limits = self._budgets
        self._tiers = tier_places(network, rows)

    def _served(
        self, rows: Rows, asked: Array, before: Array, budgets: Array, refused: Callable[[int], str] | None
    ) -> tuple[Granted, Array, Array, Served]:
        if refused is not None:  # before anything is drawn
            grant(self.network, asked, before, budgets, refused)
        requests, capacities = self._streams.next_slot(rows)
        granted, served = serve_granted(self.network, asked, before, requests, capacities, budgets)
        return granted, requests, capacities, served

    def _by_tier(self, by_node: Array) -> Array:
        where = self._tiers if len(by_node) == self.num_envs else tier_places(self.network, len(by_node))
        return by_tier(self.network, by_node, where)

    def _keep(self, where: Any, allocation: Array, by_node: Array, requests: Array) -> None:
        if where is EVERY:  # made for this slot, but for the allocation, which may be the action itself
            self._allocation[:] = allocation
            self._by_node, self._requests = by_node, requests
            return
        super()._keep(where, allocation, by_node, requests)

    def _see(self, where: Any, capacities: Array) -> None:
        if self._capacities is self._nominal:
            self._capacities = np.repeat(self._nominal, self.num_envs // len(self._nominal), axis=0)
        self._capacities[where] = np.minimum(capacities, LARGEST)

    def _observe(self) -> Values:
        spaces = self.observation_space.items()  # type: ignore[attr-defined]
        shown, kept = self._buffers.take({key: space.shape for key, space in spaces})
        if not kept:
            np.copyto(shown["budgets"], self._budgets, casting="same_kind")
        show(shown, self._requests, self._allocation, self._capacities_to_show(kept))
        self._steady = self._capacities is self._nominal
        return shown

    def _capacities_to_show(self, kept: bool) -> FloatArray | None:
        """Those observed; None where they stand there already, as `kept` says of all that was shown."""
        return None if kept and self._steady and self._capacities is self._nominal else self._capacities

    def _asked(self, actions: Any) -> Array:
        """Actions as (B, P) int8, or an error that names the entry."""
        return as_bits("actions", actions, (self.num_envs, self.network.P))

    def _unserved(self) -> Values:
        return unserved(self.network, self.num_envs)._asdict()

    def _masked(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        infos, every = {}, bool(mask.all())
        for key, value in values.items():
            infos[key] = value if every else self._chosen(mask, value, np.zeros_like(value))
            infos[f"_{key}"] = mask.copy()
        return infos

    def _chosen(self, mask: BoolArray, some: Array, others: Array) -> Array:
        return np.where(mask.reshape(-1, *[1] * (some.ndim - 1)), some, others)

    def _final(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        observation = self._observe()
        final = np.full(self.num_envs, None, dtype=object)
        for b in np.flatnonzero(mask):
            final[b] = {key: value[b].copy() for key, value in observation.items()}
        return {
            "final_obs": final,
            "_final_obs": mask.copy(),
            "final_info": self._masked(values, mask),
            "_final_info": mask.copy(),
        }

    def _zeros(self, *shape: int) -> Array:
        return np.zeros(shape)

    def _numbers(self, values: Any) -> Array:
        return values

    def _flags(self, mask: BoolArray) -> Array:
        return mask

    def _host(self, values: Any) -> FloatArray:
        return np.asarray(values)

    def _where(self, rows: Rows) -> Any:
        return rows

    def _put(self, values: Array, where: Any, some: Any) -> None:
        values[where] = some
