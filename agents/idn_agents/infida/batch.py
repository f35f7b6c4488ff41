"""INFIDA many times over, on tensors: seeds x learning rates x refresh periods in one run on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from idn_agents.agent import generator
from idn_agents.infida.fused import FusedUpdate, suits
from idn_agents.infida.infida import Infida, StepSizes, start, state_mass, update
from idn_agents.rounding.rounding import residual_of, rounding_of
from idn_gym import batched
from idn_gym.errors import IdnError
from idn_gym.kernels.threads import over_rows
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.typing import BoolArray, FloatArray, IntArray

Tensor = torch.Tensor


class InfidaBatch:
    """B agents `Infida`, each with its own parameters and seed, in one: the same update, over (B, P).

    Parameters
    ----------
    runs : the parameters of each agent, as `Infida` takes them; all of one `residual`, no rate ``adaptive``. What is
        not rounded ``dependent`` is rounded on the CPU, row by row, with the numbers that `Infida` draws.
    device, dtype : of the states; float64 on the CPU and float32 elsewhere by default.
    draws : ``numpy``: each agent rounds with the numbers that `Infida` draws from its seed, on the CPU; elsewhere in
        float64 alone. ``device``: all draw from one `torch.Generator` on the device. By default ``numpy`` on the CPU.
    backend : as in `idn_gym.batched`.
    """

    def __init__(
        self,
        runs: Sequence[Mapping[str, Any]],
        device: str | torch.device = "cpu",
        *,
        dtype: torch.dtype | None = None,
        draws: str | None = None,
        backend: str | None = None,
    ) -> None:
        self._agents = [Infida(**run) for run in runs]
        if not self._agents:
            raise IdnError("runs: empty; must hold the parameters of at least one agent")
        if len({agent.residual for agent in self._agents}) > 1:
            raise IdnError("runs: residual differs; must be the same for all")
        if any(agent.rate == "adaptive" for agent in self._agents):
            raise IdnError("runs: learning_rate 'adaptive'; rows of a batch keep one state each")
        if draws not in (None, "numpy", "device"):
            raise IdnError(f"draws: {draws!r}; allowed: 'numpy', 'device'")
        self.device = torch.empty(0, device=device).device
        on_cpu = self.device.type == "cpu"
        self._dtype = dtype or (torch.float64 if on_cpu else torch.float32)
        self._drawn_by_numpy = on_cpu if draws is None else draws == "numpy"
        self._backend = backend

    def reset(self, network: Network, seeds: Sequence[int]) -> None:
        """Start anew on a network, each agent with its seed."""
        rows = len(self._agents)
        if len(seeds) != rows:
            raise IdnError(f"seeds: {len(seeds)} of them; must be {rows}, one per agent")
        self._network = network
        self._generators = [generator(seed) for seed in seeds]
        self._roundings = {
            row: rounding_of(agent.rounding, network, seeds[row], agent.residual, agent.coordination)
            for row, agent in enumerate(self._agents)
            if agent.rounding not in (None, "dependent") or not network.service.submodular
        }
        self._alone = np.array([row in self._roundings for row in range(rows)])
        self._device_generator = torch.Generator(self.device)
        self._device_generator.manual_seed(int(generator(seeds[0]).integers(2**63)))
        mass = state_mass(network, self._agents[0].residual)
        self._slot = 0
        self._next_refresh = np.zeros(rows, dtype=np.int64)  # what is due is known without asking the device
        self._period = np.array([agent.first_period for agent in self._agents])
        self._longest = np.array([agent.longest_period for agent in self._agents])
        self._residual: Any = residual_of(network, self._agents[0].residual)
        rates = [agent.rate for agent in self._agents], [agent.scale_on(network) for agent in self._agents]
        self._fused: FusedUpdate | None = None
        if self._drawn_by_numpy and self.device.type == "cpu" and self._backend in (None, "numba") and suits(network):
            self._rates = StepSizes(network, *rates, mass)
            dtype = np.float64 if self._dtype == torch.float64 else np.float32
            log_state = start(network, mass)
            self._fused = FusedUpdate(network, log_state, mass, self._generators, self._residual, dtype)
            self._allocation = torch.from_numpy(self._fused.allocation)
            return
        self._allocation = torch.zeros(rows, network.P, dtype=torch.int8, device=self.device)
        self._steps = _Steps(network, *rates, mass, _Operations(self._backend), self._tensor)
        self._steps.mass = self._tensor(mass).double() if self.device.type != "mps" else self._tensor(mass)
        self._log_state = self._tensor(start(self._steps.space.placements, mass)).expand(rows, -1).contiguous()
        self._state = torch.exp(self._log_state)
        self._held = self._steps.space.held(self._state)
        self._gain = self._log_state.new_empty(rows)
        self._gradient, self._uniforms = torch.empty_like(self._held), torch.empty_like(self._held)

    @property
    def fractional(self) -> Tensor:
        """(B, P) the states that the last act was drawn from."""
        return self._held if self._fused is None else torch.from_numpy(self._fused.fractional)

    def act(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(B, P) int8, feasible, for the coming slot; the first observation has zero requests."""
        requests = self._of_dtype("requests", observation["requests"], self._network.R)
        capacities = self._of_dtype("capacities", observation["capacities"], self._network.P)
        due = self._next_refresh == self._slot
        together = due & ~self._alone
        if self._fused is not None:
            batch = (requests.numpy(), capacities.numpy()) if self._slot > 0 else None
            self._fused.advance(batch, self._rates, together)
        else:
            if self._slot > 0:
                self._learn(requests, capacities)
            if together.any():
                self._round(together)
        if self._roundings:
            self._round_alone(due, requests, capacities)
        self._next_refresh[due] += self._period[due]
        self._period[due] = np.minimum(self._period[due] + 1, self._longest[due])
        self._slot += 1
        if self.device.type != "cpu":
            return self._allocation.clone()
        return torch.from_numpy(self._allocation.numpy().copy())  # PyTorch's threads would spin beside the kernels'

    def _learn(self, requests: Tensor, capacities: Tensor) -> None:
        batched.gain_and_subgradient(
            self._network,
            requests,
            capacities,
            self._held,
            out=(self._gain, self._gradient),
            backend=self._backend,
            check=False,
        )
        update(self._log_state, self._gradient, self._steps, out=self._log_state, state=self._state)
        self._held = self._steps.space.held(self._state)

    def _round(self, due: BoolArray) -> None:
        keywords: dict[str, Any] = {"residual": self._residual, "backend": self._backend, "check": False}
        rows = np.flatnonzero(due)
        uniforms = self._draw(rows)
        if due.all():
            batched.round_dependent(self._network, self._held, uniforms, out=self._allocation, **keywords)
            return
        where = torch.from_numpy(rows).to(self.device, non_blocking=True)
        rounded = batched.round_dependent(self._network, self._held[where], uniforms, **keywords)
        self._allocation[where] = rounded

    def _round_alone(self, due: BoolArray, requests: Tensor, capacities: Tensor) -> None:
        seen = [values.to("cpu", torch.float64).expand(len(due), -1).numpy() for values in (requests, capacities)]
        states = self.fractional.to("cpu", torch.float64).numpy()
        rows = list(self._roundings)
        rounded = torch.empty(len(rows), self._network.P, dtype=torch.int8)

        def work(first: int, stop: int) -> None:
            for i, row in enumerate(rows[first:stop], first):
                if self._slot > 0:
                    self._roundings[row].see(seen[0][row], seen[1][row])
                if due[row]:
                    rounded[i] = torch.from_numpy(self._roundings[row].round(states[row : row + 1]))

        over_rows(len(rows), self._network.P, work)
        now = [i for i, row in enumerate(rows) if due[row]]
        if now:
            self._allocation[[rows[i] for i in now]] = rounded[now].to(self.device)

    def _draw(self, rows: IntArray) -> Tensor:
        """(n, P) uniforms in [0, 1), of which a rounding uses what it needs."""
        uniforms = self._uniforms[: len(rows)]
        if not self._drawn_by_numpy:
            return uniforms.uniform_(generator=self._device_generator)
        drawn = uniforms if self.device.type == "cpu" else torch.empty(uniforms.shape, dtype=self._dtype)
        array, generators = drawn.numpy(), [self._generators[row] for row in rows.tolist()]

        def work(first: int, stop: int) -> None:
            for i in range(first, stop):
                _fill_uniform(generators[i], array[i])

        over_rows(len(rows), self._network.P, work)
        return drawn.to(self.device, non_blocking=True)

    def _tensor(self, values: Any) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.float64)).to(self.device, self._dtype)

    def _of_dtype(self, name: str, values: Tensor, width: int) -> Tensor:
        """As rows of the states' dtype; one row, where it is the same row B times."""
        rows = len(self._agents)
        if not isinstance(values, Tensor) or values.ndim > 2 or values.shape[-1:] != (width,):
            found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise IdnError(f"{name}: {found}; must be a torch.Tensor ({rows}, {width}), or ({width},) for all")
        if values.ndim == 2 and len(values) not in (1, rows):
            raise IdnError(f"{name}: {len(values)} rows; must be {rows}, or 1 to serve all")
        values = values[:1] if values.ndim == 2 and values.stride(0) == 0 else values
        return values.to(self.device, self._dtype).contiguous()


def _fill_uniform(generator: np.random.Generator, out: FloatArray) -> None:
    """Uniforms in [0, 1); those in float32 are NumPy's own as well, in half the time."""
    if out.dtype == np.float64:
        generator.random(out=out)
        return
    bits = generator.bit_generator.random_raw((len(out) + 1) // 2).astype("<u8", copy=False).view("<u4")
    np.multiply((bits[: len(out)] >> 8).astype(np.float32), np.float32(2.0**-24), out=out)


class _Steps(StepSizes):
    """`StepSizes` that turns a gradient into the ascent in place."""

    def ascent(self, gradient: Tensor) -> Tensor:
        """Gradient (B, P) over sizes, in the gradient's memory where it has as many entries as the state."""
        if self.space.priced:
            return super().ascent(gradient)
        if gradient.device.type != "cpu":
            return torch.div(gradient, self.space.sizes, out=gradient)
        array, sizes = gradient.numpy(), self.space.sizes.numpy()

        def work(first: int, stop: int) -> None:
            np.divide(array[first:stop], sizes, out=array[first:stop])

        over_rows(len(array), array.shape[1], work)
        return gradient


class _Operations:
    """`idn_gym.batched` with its keywords set: what `StepSizes` and `update` call."""

    def __init__(self, backend: str | None) -> None:
        self._backend = backend

    def step_states(self, *arguments: Any, **filled: Any) -> Tensor:
        return batched.mirror_step(*arguments, **filled, backend=self._backend, check=False)

    def node_maximum(self, placements: Placements, values: Tensor) -> Tensor:
        return batched.node_maximum(placements, values, backend=self._backend)
