"""Request streams of many environments as tensors: drawn on the device, or by NumPy and copied to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Burst, Outages, Own, Zipf
from idn_gym.workload.popularity import expected_requests
from idn_gym.workload.streams import Rows, Streams
from idn_gym.workload.trace import Trace

Tensor = torch.Tensor
_MOST_VALUES = 2**28  # in the table of expected requests


class CopiedStreams:
    """The streams of the scalar environments, bitwise, as tensors."""

    def __init__(self, networks: Sequence[Network], replay: Trace | None, device: torch.device, dtype: torch.dtype):
        self._streams, self._device, self._dtype = Streams(networks, replay), device, dtype
        self.nominal = self._copied(self._streams.nominal)

    def restart(self, rows: Rows, generators: Sequence[np.random.Generator]) -> None:
        """Start streams anew, each with its generator."""
        self._streams.restart(rows, generators)

    def next_slot(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Requests (n, R), and capacities (n, P) or (1, P)."""
        requests, capacities = self._streams.next_slot(rows)
        steady = capacities is self._streams.nominal
        return self._copied(requests), self.nominal if steady else self._copied(capacities)

    def _copied(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values)).to(self._device, self._dtype, non_blocking=True)


class DrawnStreams:
    """Streams of the same law as the scalar environments', drawn for the whole batch from one generator on the device.

    Parameters
    ----------
    networks : of each environment.
    horizon : slots of an episode; the expected requests of each are kept on the device.
    """

    def __init__(self, networks: Sequence[Network], horizon: int, device: torch.device, dtype: torch.dtype) -> None:
        self._networks, self._device, self._dtype = networks, device, dtype
        self._generator = torch.Generator(device)
        different = list(dict.fromkeys(networks))
        first, rows = different[0], len(networks)
        for network in different:
            if not isinstance(network.scenario.workload, Zipf | Burst):
                kind = getattr(network.scenario.workload, "kind", None)
                raise IdnError(f"streams: 'device' draws workloads zipf and burst, not {kind}; use streams='numpy'")
            if isinstance(network.scenario.workload.capacity, Own):
                kind = network.scenario.workload.capacity.kind
                raise IdnError(
                    f"streams: 'device' draws constant capacities and outages, not {kind}; use streams='numpy'"
                )
        if len(different) * horizon * first.R > _MOST_VALUES:
            raise IdnError(f"horizon: {horizon}; too long for streams='device', use streams='numpy'")
        slots = np.arange(horizon)
        self._expected = self._tensor(np.stack([expected_requests(network, slots) for network in different]))
        self._variant = torch.tensor([different.index(network) for network in networks], device=device)
        nominal = np.stack([network.capacities for network in (networks if len(different) > 1 else networks[:1])])
        self.nominal = self._tensor(nominal)
        self._slot = torch.zeros(rows, dtype=torch.int64, device=device)

        # one row per environment; a process that a workload lacks has parameters under which it does nothing
        workloads = [network.scenario.workload for network in networks]
        flashes = [getattr(workload, "flash", None) for workload in workloads]
        outages = [getattr(workload, "capacity", None) for workload in workloads]
        outages = [process if isinstance(process, Outages) else None for process in outages]
        bursts = [workload if isinstance(workload, Burst) else None for workload in workloads]
        self._flash = self._parameters(flashes, probability=0.0, duration=1.0, factor=1.0)
        self._outage = self._parameters(outages, probability=0.0, duration=1.0, remaining=1.0)
        self._burst = self._parameters(bursts, shape=np.inf, persistence=0.0)
        per_task = [burst is not None and burst.per == "task" for burst in bursts]
        self._per_task = torch.tensor(per_task, device=device)[:, None]
        entries, entry_of_type = np.unique(first.type_entry, return_inverse=True)
        self._entry_of_type = torch.as_tensor(entry_of_type, device=device)
        _, service_of_type = np.unique(first.type_service, return_inverse=True)
        self._service_of_type = torch.as_tensor(service_of_type, device=device)
        self._placement_node = torch.as_tensor(np.array(first.placement_node, dtype=np.int64), device=device)
        self._crowds = torch.zeros(rows, len(entries), dtype=torch.bool, device=device)
        self._down = torch.zeros(rows, first.V, dtype=torch.bool, device=device)
        self._multiplier = torch.ones(rows, first.R, dtype=dtype, device=device)

    def restart(self, rows: Rows, generators: Sequence[np.random.Generator]) -> None:
        """Start streams anew; when all do, so does the generator, from the first environment's."""
        if isinstance(rows, slice):
            self._generator.manual_seed(int(generators[0].integers(2**63)))
        where = index(rows, self._device)
        for state in (self._slot, self._crowds, self._down):
            state[where] = 0

    def next_slot(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Requests (n, R), and capacities (n, P) or (1, P); those of other rows do not depend on these."""
        where = index(rows, self._device)
        slot = self._slot[where]
        mean = self._expected[self._variant[where], slot.clamp(max=self._expected.shape[1] - 1)]
        if self._flash is not None:
            mean = mean * self._crowd_factor(where)
        if self._burst is not None:
            mean = mean * self._burst_factor(where, slot)
        self._slot[where] = slot + 1
        return torch.poisson(mean, generator=self._generator), self._capacities(where)

    def _crowd_factor(self, where: Tensor | slice) -> Tensor:
        assert self._flash is not None
        probability, duration, factor = (values[where] for values in self._flash)
        here = self._crowds[where]
        stays = self._uniforms(*here.shape) >= 1.0 / duration
        starts = self._uniforms(len(here), 1) < probability
        entry = torch.randint(here.shape[1], (len(here), 1), generator=self._generator, device=self._device)
        here = (here & stays).scatter(1, entry, (here & stays).gather(1, entry) | starts)
        self._crowds[where] = here
        return torch.where(here, factor, 1.0)[:, self._entry_of_type]

    def _burst_factor(self, where: Tensor | slice, slot: Tensor) -> Tensor:
        assert self._burst is not None
        shape, persistence = (values[where] for values in self._burst)
        last = self._multiplier[where]
        bursts = torch.isfinite(shape)
        finite = torch.where(bursts, shape, 1.0).expand_as(last).contiguous()
        drawn = torch.where(bursts, torch._standard_gamma(finite, generator=self._generator) / finite, 1.0)
        uniform = self._uniforms(*last.shape)
        shared = self._per_task[where]  # all types of a service follow the draws at its place among those asked for
        drawn = torch.where(shared, drawn[:, self._service_of_type], drawn)
        uniform = torch.where(shared, uniform[:, self._service_of_type], uniform)
        now = torch.where((uniform < persistence) & (slot > 0)[:, None], last, drawn)
        self._multiplier[where] = now
        return now

    def _capacities(self, where: Tensor | slice) -> Tensor:
        nominal = self.nominal if len(self.nominal) == 1 else self.nominal[where]
        if self._outage is None:
            return nominal
        probability, duration, remaining = (values[where] for values in self._outage)
        down = self._down[where]
        uniforms = self._uniforms(*down.shape)
        down = torch.where(down, uniforms >= 1.0 / duration, uniforms < probability)
        self._down[where] = down
        return nominal * torch.where(down, remaining, 1.0)[:, self._placement_node]

    def _uniforms(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._device, dtype=self._dtype)

    def _parameters(self, processes: Sequence[object], **neutral: float) -> tuple[Tensor, ...] | None:
        """(B, 1) of each parameter, or None if no environment has the process."""
        if all(process is None for process in processes):
            return None
        columns = [
            [[rest if (value := getattr(process, name, None)) is None else value] for process in processes]
            for name, rest in neutral.items()
        ]
        return tuple(self._tensor(np.array(column)) for column in columns)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.float64)).to(self._device, self._dtype)


def index(rows: Rows, device: torch.device) -> Tensor | slice:
    """Rows of a batch as an index into tensors on a device."""
    return rows if isinstance(rows, slice) else torch.from_numpy(rows).to(device, non_blocking=True)
