"""Speed of batches on a CUDA device, beside the bandwidth that the same run measures, and against what is aimed at.

    python benchmarks/gpu.py [--device cuda] [--repeats 20] [--output FILE.json]

First the results are compared with the CPU's, and a step is run with every wait for the device made an error.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from idn_agents.infida.batch import InfidaBatch
from stored import stamp, write

import idn_gym  # noqa: F401 - registers the ids
from idn_gym import batched
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network

AIMS = {  # slots/s, on an H200
    "gain + subgradient": 20e6,
    "gain": 40e6,
    "environment step": 1e6,
    "INFIDA": 100e3,
}


def seconds(call: Callable[[], object], repeats: int) -> list[float]:
    """Per call, by the device's own clock, after a warm-up."""
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    found = []
    for _ in range(repeats):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        for _ in range(10):
            call()
        ended.record()
        torch.cuda.synchronize()
        found.append(began.elapsed_time(ended) / 1e4)
    return sorted(found)


def copied(device: torch.device, repeats: int) -> float:
    """Bytes read and written per second by a copy of 1 GiB."""
    source = torch.zeros(2**28, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / statistics.median(seconds(lambda: target.copy_(source), repeats))


def slots(network: Network, rows: int, device: torch.device) -> list[Any]:
    """Requests, capacities and a loose and a tight allocation, float32."""
    generator = np.random.default_rng(0)
    requests = generator.poisson(7500.0 * 60.0 / network.R, size=(rows, network.R))
    log_h = torch.from_numpy(generator.normal(scale=2.0, size=(min(rows, 256), network.P)))
    tight = batched.project(network, log_h, network.spendable).exp().clamp(max=1.0)
    arrays = requests, network.capacities[None], generator.random((rows, network.P), dtype=np.float32)
    tensors = [torch.from_numpy(np.array(array, dtype=np.float32)).to(device) for array in arrays]
    return [*tensors, tight.float().repeat(-(-rows // len(tight)), 1)[:rows].contiguous().to(device)]


def compare(network: Network, device: torch.device) -> None:
    """Raise unless the device and the CPU agree."""
    requests, capacities, *allocations = slots(network, 300, device)
    for y in allocations:
        found = batched.gain_and_subgradient(network, requests, capacities, y)
        expected = batched.gain_and_subgradient(network, requests.cpu(), capacities.cpu(), y.cpu())
        torch.testing.assert_close(found[0].cpu(), expected[0], rtol=1e-6, atol=0.0)
        torch.testing.assert_close(found[1].cpu(), expected[1], rtol=0.0, atol=1e-5 * float(expected[1].max()))
        torch.testing.assert_close(
            batched.gain(network, requests, capacities, y).cpu(),
            batched.gain(network, requests.cpu(), capacities.cpu(), y.cpu()),
            rtol=1e-6,
            atol=0.0,
        )
    uniforms = torch.rand(y.shape)
    rounded = batched.round_dependent(network, y, uniforms.to(device)).cpu()
    different = (rounded != batched.round_dependent(network, y.cpu(), uniforms)).any(1).float().mean()
    print(f"agrees with the CPU; {float(different):.1%} of roundings differ, by the last bit of a coin or a tie")


def refuse_waiting(device: torch.device) -> None:
    """Raise if a step of environment and agent waits for the device."""
    env = gymnasium.make_vec("IDN/TopologyI-Sliding-v0", num_envs=64, device=str(device))
    agents = InfidaBatch([{}] * 64, device)
    agents.reset(env.unwrapped.network, range(64))
    observation, _ = env.reset(seed=0)
    for _ in range(3):
        observation = env.step(agents.act(observation))[0]
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(3):
        observation = env.step(agents.act(observation))[0]
    torch.cuda.set_sync_debug_mode("default")
    print("no step waits for the device")


def jobs(network: Network, device: torch.device) -> dict[str, tuple[Callable[[], object], int, int]]:
    """Name -> what to time, slots per call, bytes it has to read and write."""
    found: dict[str, tuple[Callable[[], object], int, int]] = {}
    for rows in (64, 1024, 4096, 16384):
        requests, capacities, loose, tight = slots(network, rows, device)
        out = torch.empty(rows, device=device), torch.empty_like(loose)
        read = requests.nbytes + loose.nbytes
        for regime, y in (("loose", loose), ("tight", tight)):
            arguments = network, requests, capacities, y
            found[f"gain + subgradient, {regime}, B = {rows}"] = (
                lambda a=arguments, o=out: batched.gain_and_subgradient(*a, out=o, check=False),  # type: ignore[misc]
                rows,
                read + loose.nbytes,
            )
            found[f"gain, {regime}, B = {rows}"] = (lambda a=arguments: batched.gain(*a, check=False), rows, read)  # type: ignore[misc]
    for rows in (1024, 4096):
        env = gymnasium.make_vec("IDN/TopologyI-Sliding-v0", num_envs=rows, device=str(device), horizon=10**4)
        observation, _ = env.reset(seed=0)
        scores = torch.rand(rows, network.P, device=device)
        actions = batched.pack(network, scores)
        found[f"environment step, B = {rows}"] = (lambda e=env, a=actions: e.step(a), rows, 0)  # type: ignore[misc]
        agents = InfidaBatch([{}] * rows, device)
        agents.reset(network, range(rows))
        agents.act(observation)
        observation = env.step(actions)[0]
        found[f"INFIDA, B = {rows}"] = (lambda a=agents, o=observation: a.act(o), rows, 0)  # type: ignore[misc]
    return found


def main() -> None:
    """Compare, measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: nothing was measured")
    device = torch.empty(0, device=options.device).device
    network = Network.compile(load_scenario("topology-1-fixed"))
    print(torch.cuda.get_device_name(device))
    compare(network, device)
    refuse_waiting(device)

    bandwidth = copied(device, options.repeats)
    print(f"copy: {bandwidth / 1e12:.2f} TB/s")
    rows = []
    for name, (call, count, traffic) in jobs(network, device).items():
        taken = seconds(call, options.repeats)
        low, median, high = statistics.quantiles(taken, n=4)
        rate, share = count / median, traffic / median / bandwidth
        aim = AIMS[name.partition(",")[0]]
        rows.append({"name": name, "slots_per_s": rate, "low_s": low, "median_s": median, "high_s": high})
        rows[-1] |= {"share_of_copy": share or None, "aim": aim}
        line = f"{name:42s} {rate / 1e6:8.3f} million slots/s  [{count / high / 1e6:.3f}, {count / low / 1e6:.3f}]"
        print(line + (f"  {share:.0%} of copy" if traffic else "") + f"  aim {aim / 1e6:g}", flush=True)
    if options.output:
        about = {"device": torch.cuda.get_device_name(device), "bandwidth_bytes_per_s": bandwidth}
        write(options.output, {**stamp(), **about, "rows": rows})


if __name__ == "__main__":
    main()
