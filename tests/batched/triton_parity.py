"""Run by `test_triton`: every Triton kernel, interpreted, against the NumPy reference, on the smallest scenario."""

from __future__ import annotations

import numpy as np
import torch
from instances import with_services

from idn_gym import Network, batched, draw, load_scenario

ROWS = 3


def main() -> None:
    """Raise on the first difference."""
    tiny = Network.compile(load_scenario("tiny"))
    for network in (tiny, with_services(tiny, 0)):
        compare(network)


def compare(network: Network) -> None:
    """Raise on the first difference on a network."""
    generator = np.random.default_rng(0)
    shape = (ROWS, network.P)
    log_h, uniforms, loose = generator.normal(size=shape), generator.random(shape), generator.random(shape)
    capacities = network.capacities[None] * 0.3
    for dtype in (torch.float64, torch.float32):
        exact = 1e-12 if dtype == torch.float64 else 1e-6
        h, u, y, r, c = (
            torch.from_numpy(array).to(dtype)
            for array in (log_h, uniforms, loose, draw(network, ROWS, 0).requests, capacities)
        )
        expected, gradient = batched.gain_and_subgradient(network, r, c, y, tolerance=0.0, backend="reference")
        found, subgradient = batched.gain_and_subgradient(network, r, c, y, tolerance=0.0, backend="triton")
        torch.testing.assert_close(found, expected, rtol=exact, atol=0.0)
        torch.testing.assert_close(subgradient, gradient, rtol=0.0, atol=10 * exact * float(gradient.max()))
        torch.testing.assert_close(batched.gain(network, r, c, y, backend="triton"), expected, rtol=exact, atol=0.0)
        whole = batched.pack(network, h, backend="triton")
        assert torch.equal(whole, batched.pack(network, h, backend="reference"))
        for x in (y, whole):
            served = batched.serve(network, r, c, x, backend="triton")
            for got, wanted in zip(served, batched.serve(network, r, c, x.to(dtype), backend="reference"), strict=True):
                torch.testing.assert_close(got, wanted, rtol=exact, atol=exact * float(wanted.abs().max()))
        log_y = batched.project(network, h, network.spendable, backend="reference")
        state, out = torch.empty_like(h), torch.empty_like(h)
        zero = torch.zeros_like(h)
        batched.mirror_step(
            network, h, zero, np.zeros(network.V), network.spendable, out=out, state=state, backend="triton"
        )
        torch.testing.assert_close(out.exp(), log_y.exp(), rtol=10 * exact, atol=0.0)
        torch.testing.assert_close(state, log_y.exp(), rtol=10 * exact, atol=0.0)
        tailed = log_y.exp() * torch.where(y < 0.5, 1e-5, 1.0)
        for residual in ("drop", "coin", "fit"):
            for part in (log_y.exp(), tailed):
                rounded = batched.round_dependent(network, part, u, residual, backend="triton")
                expected = batched.round_dependent(network, part, u, residual, backend="reference")
                assert torch.equal(rounded, expected), residual


if __name__ == "__main__":
    main()
