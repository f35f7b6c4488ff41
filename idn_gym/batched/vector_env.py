"""The vector environment on tensors: nothing it computes in a step waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch

from idn_gym.batched import feasible, serving
from idn_gym.batched.arguments import BACKENDS, chosen, wants_check
from idn_gym.batched.streams import CopiedStreams, DrawnStreams, index
from idn_gym.batched.tables import DeviceTables, accepts
from idn_gym.common import parameters
from idn_gym.env.batch import BatchEnv, Values
from idn_gym.env.env import IDNEnv
from idn_gym.env.outcome import unserved
from idn_gym.env.repair import Granted, priority
from idn_gym.env.vector_env import IDNVectorEnv
from idn_gym.errors import IdnError
from idn_gym.model.placements import refuse_over_budget, room
from idn_gym.model.service import Served
from idn_gym.typing import BoolArray, FloatArray
from idn_gym.workload.streams import Rows
from idn_gym.workload.trace import LARGEST

Tensor = torch.Tensor


class TensorVectorEnv(BatchEnv):
    """`IDNVectorEnv` with PyTorch tensors in and out: ``gymnasium.make_vec(id, num_envs=B, device="cuda")``.

    ## Description
    Observations are float32 tensors (B, ...), rewards (B,) float64 on the CPU and
    float32 elsewhere, flags (B,) bool, information tensors beside
    their masks. Under ``SameStep``, ``final_obs`` is a dict of tensors, of meaning where ``_final_obs`` is True.

    On the CPU every environment has the stream of its scalar environment, bitwise. On other devices streams of the
    same law are drawn on the device, from one `torch.Generator` seeded from environment 0's; results then depend on
    the place in the batch. Episodes have a fixed length, so that the host knows which are over without asking.

    ## Arguments
    Those of `IDNVectorEnv`, and:

    | argument | default | meaning |
    |---|---|---|
    | `device` | `"cpu"` | where tensors are |
    | `copy` | `True` | as there; only where NumPy's arrays are seen as tensors, on the CPU without the next three |
    | `streams` | by device | `"numpy"`: the scalar environments' streams; `"device"`: drawn on the device |
    | `backend` | by device | as in `idn_gym.batched` |
    | `check` | by device | whether actions, and rewards of a function, are looked at; by default on the CPU alone |

    `infeasible="raise"` has to wait for the device at every step.
    """

    device: torch.device

    def __new__(
        cls,
        *_: Any,
        device: str | torch.device = "cpu",
        streams: str | None = None,
        backend: str | None = None,
        check: bool | None = None,
        **__: Any,
    ) -> TensorVectorEnv:
        """On the CPU NumPy's arrays seen as tensors, unless an argument asks for more."""
        if not isinstance(device, str | torch.device):
            raise IdnError(f"device: {parameters.shown(device)}; must be the name of a PyTorch device")
        parameters.one_of("streams", streams, (None, "numpy", "device"), quoted=True)
        parameters.one_of("backend", backend, (None, *BACKENDS), quoted=True)
        if cls is not TensorVectorEnv:
            return super().__new__(cls)
        plain = streams in (None, "numpy") and backend in (None, "numba") and check is not False
        return super().__new__(HostTensorVectorEnv if plain and str(device) == "cpu" else DeviceTensorVectorEnv)

    def _final(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        ended = self._flags(mask)
        infos = {"final_obs": self._last(), "final_info": self._masked(values, mask)}
        return infos | {"_final_obs": ended, "_final_info": ended}

    def _last(self) -> dict[str, Any]:
        """The observation of a step that ends episodes, which the one after it leaves alone."""
        return self._observe()


class HostTensorVectorEnv(TensorVectorEnv, IDNVectorEnv):
    """`IDNVectorEnv` whose arrays are handed in and out as CPU tensors, without a copy; see `TensorVectorEnv`."""

    def __init__(
        self,
        scenario: Any = None,
        *,
        device: str | torch.device = "cpu",
        streams: Literal["numpy"] | None = None,
        backend: Literal["numba"] | None = None,
        check: bool | None = None,
        **others: Any,
    ) -> None:
        self.device = torch.device(device)
        super().__init__(scenario, **others)
        accepts(self.network)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Values, dict[str, Any]]:
        """As `IDNVectorEnv.reset`."""
        observation, infos = super().reset(seed=seed, options=options)
        return _tensors(observation), _tensors(infos)

    def step(self, actions: Any) -> tuple[Values, Any, Any, Any, dict[str, Any]]:
        """As `IDNVectorEnv.step`."""
        if not isinstance(actions, Tensor):
            raise IdnError(f"actions: {type(actions).__name__}; must be a torch.Tensor")
        if actions.device.type != "cpu":
            raise IdnError(f"actions: on {actions.device}; must be on cpu")
        observation, rewards, terminated, truncated, infos = super().step(actions.detach().numpy())
        flags = torch.from_numpy(terminated), torch.from_numpy(truncated)
        return _tensors(observation), torch.from_numpy(rewards), *flags, _tensors(infos)

    def _observe(self) -> Values:
        """Capacities that are the same for all as one row, seen B times."""
        shown = super()._observe()
        if self._one_row():
            shown["capacities"] = torch.from_numpy(self._nominal.copy()).expand(self.num_envs, -1)
        return shown

    def _capacities_to_show(self, kept: bool) -> FloatArray | None:
        return None if self._one_row() else super()._capacities_to_show(kept)

    def _one_row(self) -> bool:
        return self._capacities is self._nominal and len(self._nominal) == 1

    def _last(self) -> Values:
        return {key: torch.as_tensor(value).clone() for key, value in self._observe().items()}


def _tensors(values: Values) -> Values:
    return {
        key: _tensors(value) if isinstance(value, dict) else torch.as_tensor(value) for key, value in values.items()
    }


class DeviceTensorVectorEnv(TensorVectorEnv):
    """`IDNVectorEnv` computed with tensors on their device; see `TensorVectorEnv`."""

    def __init__(
        self,
        scenario: Any = None,
        *,
        device: str | torch.device = "cpu",
        streams: Literal["numpy", "device"] | None = None,
        backend: str | None = None,
        check: bool | None = None,
        **others: Any,
    ) -> None:
        try:
            self.device = torch.empty(0, device=device).device  # with its number
        except (RuntimeError, AssertionError) as error:
            raise IdnError(f"device: {parameters.shown(str(device))}: {str(error).splitlines()[0]}") from None
        chosen(backend, self.device)
        on_cpu = self.device.type == "cpu"
        self._drawn_by = streams or ("numpy" if on_cpu else "device")
        self._backend, self._check = backend, wants_check(check, self.device)
        self._dtype = torch.float64 if on_cpu else torch.float32
        super().__init__(scenario, **others)

    def _values_of_each(self, env: IDNEnv) -> int:
        copied = self._drawn_by == "numpy" or env.replay is not None
        return super()._values_of_each(env) if copied else self.network.R + self.network.P

    def _make_streams(self, env: IDNEnv) -> CopiedStreams | DrawnStreams:
        if self._drawn_by == "numpy" or env.replay is not None:
            return CopiedStreams(self.networks, env.replay, self.device, self._dtype)
        return DrawnStreams(self.networks, self.horizon, self.device, self._dtype)

    def _allocate(self) -> None:
        rows, network = self.num_envs, self.network
        self._tables = DeviceTables.of(network, self.device)
        self._requests = self._zeros(rows, network.R)
        self._allocation = self._zeros(rows, network.P).to(torch.int8)
        self._by_node = self._zeros(rows, network.V)
        self._capacities = self._nominal = self._streams.nominal.clamp(max=LARGEST)
        self._limits = torch.from_numpy(self._budgets).to(self.device, self._tables.sizes.dtype)
        self._shown_budgets = self._limits.float().expand(rows, -1)
        tiers = torch.as_tensor(np.array(network.tiers, dtype=np.int64), device=self.device)
        self._tier = torch.nn.functional.one_hot(tiers).to(self._tables.sizes.dtype)  # (V, tiers)

    def _served(
        self, rows: Rows, asked: Tensor, before: Tensor, budgets: Tensor, refused: Callable[[int], str] | None
    ) -> tuple[Granted, Tensor, Tensor, Served]:
        granted = self._grant(asked, before, budgets, refused)
        requests, capacities = self._streams.next_slot(rows)
        slot = requests, capacities, granted.allocation
        return granted, *slot[:2], serving.serve(self.network, *slot, backend=self._backend, check=False)

    def _grant(self, asked: Tensor, before: Tensor, budgets: Tensor, refused: Callable[[int], str] | None) -> Granted:
        in_use, loaded = feasible.memory(self.network, asked, before, backend=self._backend)
        over = in_use > room(budgets)
        if (self.device.type == "cpu" or refused) and not bool(over.any()):
            return Granted(asked, torch.zeros(len(asked), dtype=torch.int64, device=self.device), loaded)
        if refused:
            b = int(torch.nonzero(over)[0, 0])
            used, limits = self._host(in_use[b]), self._host(budgets.expand_as(in_use)[b])
            refuse_over_budget(self.network, used, refused(b), "would hold", limits)
        kept = priority(asked, before, torch.where)
        packed = feasible.pack(self.network, kept, budgets=budgets, backend=self._backend, check=False)
        granted = torch.where(over.any(1, keepdim=True), packed, asked)
        _, loaded = feasible.memory(self.network, granted, before, backend=self._backend)
        return Granted(granted, asked.sum(1, dtype=torch.int64) - granted.sum(1, dtype=torch.int64), loaded)

    def _by_tier(self, by_node: Tensor) -> Tensor:
        return by_node @ self._tier

    def _see(self, where: Any, capacities: Tensor) -> None:
        if self._capacities is self._nominal:
            self._capacities = self._nominal.expand(self.num_envs, -1).clone()
        self._capacities[where] = capacities.clamp(max=LARGEST)

    def _observe(self) -> Values:
        return {
            "requests": self._requests.to(torch.float32, copy=True),
            "capacities": self._capacities.to(torch.float32, copy=True).expand(self.num_envs, -1),
            "allocation": self._allocation.float(),
            "budgets": self._shown_budgets,
        }

    def _asked(self, actions: Any) -> Tensor:
        shape = (self.num_envs, self.network.P)
        if not isinstance(actions, Tensor):
            raise IdnError(f"actions: {type(actions).__name__}; must be a torch.Tensor")
        if tuple(actions.shape) != shape:
            raise IdnError(f"actions: shape {tuple(actions.shape)}; must be {shape}")
        if actions.device != self.device:
            raise IdnError(f"actions: on {actions.device}; must be on {self.device}")
        asked = (actions != 0).to(torch.int8)
        if self._check and not torch.equal(asked.to(actions.dtype), actions):
            b, p = (int(i) for i in torch.nonzero(asked.to(actions.dtype) != actions)[0])
            raise IdnError(f"actions[{b}, {p}]: {actions[b, p].item()}; must be 0 or 1")
        return asked

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self._dtype, device=self.device)

    def _flags(self, mask: BoolArray) -> Tensor:
        if not mask.any():
            return torch.zeros(len(mask), dtype=torch.bool, device=self.device)
        return torch.from_numpy(mask.copy()).to(self.device, non_blocking=True)

    def _host(self, values: Any) -> FloatArray:
        return np.asarray(values.cpu() if isinstance(values, Tensor) else values)

    def _numbers(self, values: Any) -> Tensor:
        found = torch.from_numpy(values)
        dtype = self._tables.sizes.dtype if found.is_floating_point() else found.dtype
        return found.to(self.device, dtype, non_blocking=True)

    def _where(self, rows: Rows) -> Tensor | slice:
        return index(rows, self.device)

    def _put(self, values: Tensor, where: Any, some: Any) -> None:
        values[where] = some.to(values.dtype) if isinstance(some, Tensor) else some

    def _unserved(self) -> Values:
        dtype = self._tables.sizes.dtype
        whole = {key: torch.from_numpy(value) for key, value in unserved(self.network, self.num_envs)._asdict().items()}
        return {key: v.to(self.device, dtype if v.is_floating_point() else v.dtype) for key, v in whole.items()}

    def _masked(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        flags = self._flags(mask)
        infos = {}
        for key, value in values.items():
            infos[key] = value if mask.all() else self._chosen(mask, value, torch.zeros_like(value))
            infos[f"_{key}"] = flags
        return infos

    def _chosen(self, mask: BoolArray, some: Tensor, others: Tensor) -> Tensor:
        return torch.where(self._flags(mask).reshape(-1, *[1] * (some.ndim - 1)), some, others)
