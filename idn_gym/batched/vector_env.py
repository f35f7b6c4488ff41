"""The vector environment on tensors: nothing it computes in a step waits for the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from idn_gym.batched import feasible, serving
from idn_gym.batched.arguments import BACKENDS, chosen, wants_check
from idn_gym.batched.streams import CopiedStreams, DrawnStreams, _index
from idn_gym.batched.tables import DeviceTables
from idn_gym.common import parameters
from idn_gym.env.env import IDNEnv
from idn_gym.env.vector_env import Array, IDNVectorEnv, Values
from idn_gym.errors import IdnError
from idn_gym.model.placements import room
from idn_gym.typing import BoolArray, FloatArray
from idn_gym.workload.streams import Rows
from idn_gym.workload.trace import LARGEST

Tensor = torch.Tensor
_EVERY = slice(None)


class TensorVectorEnv(IDNVectorEnv):
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
    | `streams` | by device | `"numpy"`: the scalar environments' streams; `"device"`: drawn on the device |
    | `backend` | by device | as in `idn_gym.batched` |
    | `check` | by device | whether actions are looked at; on by default on the CPU alone |

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


class HostTensorVectorEnv(TensorVectorEnv):
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
        """With capacities that are the same for all as one row, seen B times."""
        observation = super()._observe()
        if self._capacities is self._nominal and len(self._streams.nominal) == 1:
            observation["capacities"] = torch.from_numpy(self._nominal[:1].copy()).expand(self.num_envs, -1)
        return observation

    def _final(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        final = {"final_obs": self._observe(), "final_info": self._masked(values, mask)}
        return final | {"_final_obs": mask.copy(), "_final_info": mask.copy()}

    def _host(self, values: Any) -> FloatArray:
        return np.asarray(values)


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
        self._on_device = torch.from_numpy(self._budgets).to(self.device, self._tables.sizes.dtype)
        self._shown_budgets = self._on_device.float().expand(rows, -1)
        tiers = torch.as_tensor(np.array(network.tiers, dtype=np.int64), device=self.device)
        self._tier = torch.nn.functional.one_hot(tiers).to(self._tables.sizes.dtype)  # (V, tiers)

    def _begin(self, mask: BoolArray) -> None:
        rows: Rows = _EVERY if mask.all() else np.flatnonzero(mask)
        self._slot[mask] = 0
        self._streams.restart(rows, [g for g, begins in zip(self._generators, mask, strict=True) if begins])
        where = _index(rows, self.device)
        for state in (self._requests, self._allocation, self._by_node):
            state[where] = 0
        if mask.all():
            self._capacities = self._nominal
        elif self._capacities is not self._nominal:
            begins = torch.from_numpy(mask).to(self.device, non_blocking=True)
            self._capacities = torch.where(begins[:, None], self._nominal, self._capacities)

    def _play(self, rows: Rows, asked: Array) -> tuple[Array, Values]:
        where = _index(rows, self.device)
        before = self._allocation[where]
        budgets = self._on_device if len(self._on_device) == 1 else self._on_device[where]
        allocation, repaired, loaded = self._feasible(asked, before, budgets)
        requests, capacities = self._streams.next_slot(rows)
        served = serving.serve(self.network, requests, capacities, allocation, backend=self._backend, check=False)
        self._allocation[where], self._by_node[where] = allocation, served.by_node.to(self._dtype)
        self._requests[where] = requests
        self._see(rows, capacities)

        total = requests.sum(1, dtype=served.gain.dtype)
        per_request = torch.where(total > 0, 1.0 / total, 0.0)
        reward = served.gain if self._reward == "gain" else served.gain * per_request
        return reward - self._update_weight * loaded, {
            "slot": torch.from_numpy(self._slot[rows].copy()).to(self.device, non_blocking=True),
            "gain": served.gain,
            "cost": served.cost,
            "latency_ms": served.latency * per_request,
            "inaccuracy": served.inaccuracy * per_request,
            "model_update_mb": loaded,
            "request_count": total,
            "repaired": repaired,
            "tier_shares": served.by_node @ self._tier * per_request[:, None],
        }

    def _feasible(self, asked: Array, before: Array, budgets: Array) -> tuple[Array, Array, Array]:
        in_use, loaded = feasible.memory(self.network, asked, before, backend=self._backend)
        over = in_use > room(budgets)
        on_host = self.device.type == "cpu" or self._infeasible == "raise"
        if on_host and not bool(over.any()):
            return asked, torch.zeros(len(asked), dtype=torch.int64, device=self.device), loaded
        if self._infeasible == "raise":
            b, v = (int(i) for i in torch.nonzero(over)[0])
            raise IdnError(
                f"actions[{b}]: node {self.network.node_names[v]} would hold {float(in_use[b, v]):.6g} MB; "
                f"its budget is {float(budgets.expand_as(in_use)[b, v]):.6g} MB"
            )
        kept = torch.where(asked > 0, 1.0 + before, -torch.inf)
        packed = feasible.pack(self.network, kept, budgets=budgets, backend=self._backend, check=False)
        granted = torch.where(over.any(1, keepdim=True), packed, asked)
        _, loaded = feasible.memory(self.network, granted, before, backend=self._backend)
        return granted, asked.sum(1, dtype=torch.int64) - granted.sum(1, dtype=torch.int64), loaded

    def _see(self, rows: Rows, capacities: Array) -> None:
        if self._capacities is self._nominal:
            if capacities is self._streams.nominal:
                return
            self._capacities = self._nominal.expand(self.num_envs, -1).clone()
        self._capacities[_index(rows, self.device)] = capacities.clamp(max=LARGEST)

    def _observe(self) -> Values:
        return {
            "requests": self._requests.to(torch.float32, copy=True),
            "capacities": self._capacities.to(torch.float32, copy=True).expand(self.num_envs, -1),
            "allocation": self._allocation.float(),
            "budgets": self._shown_budgets,
        }

    def _asked(self, actions: Any) -> Array:
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

    def _unserved(self) -> Values:
        whole = {key: torch.from_numpy(value) for key, value in super()._unserved().items()}
        dtype = self._tables.sizes.dtype
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

    def _final(self, values: Values, mask: BoolArray) -> dict[str, Any]:
        flags = self._flags(mask)
        return {
            "final_obs": self._observe(),
            "_final_obs": flags,
            "final_info": self._masked(values, mask),
            "_final_info": flags,
        }
