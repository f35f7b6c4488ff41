"""Speed of batches on the CPU: this project's paths beside other libraries' forms of the same, and Gymnasium's.

    python benchmarks/batched.py [--repeats 7] [--threads 2] [--only TEXT] [--output FILE.json]

Each figure is measured in a process of its own (the thread pools of the libraries get in each other's way), with the
threads pinned, after a warm-up that takes in compiling; it is the median of the repeats with the middle half's range.
The machine's copy bandwidth is measured in the same run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from batched_tables import FORMS, REGIMES, SIZES, STEPS, tables
from stored import stamp, write


def jobs() -> list[dict[str, Any]]:
    """Everything that is measured, a process each."""
    found: list[dict[str, Any]] = [{"what": "copy", "name": "copy of 256 MB"}]
    for rows in SIZES:
        for regime in REGIMES:
            for name in ("idn_gym", "idn_gym checked", *FORMS):
                found.append({"what": "gain", "name": name, "rows": rows, "regime": regime})
            found.append({"what": "gain only", "name": "idn_gym", "rows": rows, "regime": regime})
        found += [{"what": "infida", "name": name, "rows": rows} for name in ("float32", "float64")]
    for rows in (1, 16, 256, 4096):
        found.append({"what": "gain", "name": "idn_gym", "rows": rows, "regime": "tight"})
    for options in (50, 150):
        found.append({"what": "gain", "name": "idn_gym", "rows": 64, "regime": "loose", "options": options})
    for nodes in (100, 1000, 10_000):
        found.append({"what": "gain", "name": "idn_gym", "rows": 8, "regime": "loose", "nodes": nodes})
    for name in STEPS:
        found += [{"what": "steps", "name": name, "rows": 64, "threads": threads} for threads in STEPS[name][1]]
    return found


def network_of(job: dict[str, Any]) -> Any:
    """Topology I; with replicas, for more options per type; or a tree."""
    from idn_gym.library.load import load_scenario
    from idn_gym.model.network import Network
    from idn_gym.scenario import parse
    from idn_gym.topology import nodes_and_links, tree

    if "nodes" not in job:
        replicas = max(1, round(job.get("options", 39) / 39))
        return Network.compile(load_scenario("topology-1-fixed", [f"replicas={replicas}"]))
    catalog = load_scenario("topology-1-fixed").to_dict()
    graph = tree(10, 4, [40.0, 15.0, 6.0, 6.0], repository=[model["name"] for model in catalog["models"]])
    graph.remove_nodes_from(list(graph)[job["nodes"] :])
    data = {key: catalog[key] for key in ("format", "tasks", "models")}
    return Network.compile(
        parse({**data, "name": "tree", **nodes_and_links(graph, processor="rtx-2080-ti", budget=3000.0)}, "tree")
    )


def tight_states() -> np.ndarray:
    """(64, P) float32: INFIDA's states after 100 slots of Topology I, of 64 seeds."""
    import gymnasium
    from idn_agents.infida.batch import InfidaBatch

    import idn_gym  # noqa: F401 - registers the ids

    env = gymnasium.make_vec("IDN/TopologyI-Fixed-v0", num_envs=64, device="cpu")
    agents = InfidaBatch([{}] * 64)
    agents.reset(env.unwrapped.network, range(64))
    observation, _ = env.reset(seed=0)
    for _ in range(100):
        observation = env.step(agents.act(observation))[0]
    return agents.fractional.float().numpy()


def requests_of(network: Any, rows: int) -> np.ndarray:
    """(B, R): slots of the scenario's workload; Poisson counts of one mean for a network that has none."""
    from idn_gym.workload.stream import draw

    if network.scenario.workload is not None:
        return draw(network, rows, 0).requests
    return np.random.default_rng(0).poisson(7500.0 * 60.0 / network.R, size=(rows, network.R))


def slots_of(network: Any, job: dict[str, Any], folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Requests (B, R) and allocation (B, P), float32."""
    generator, rows = np.random.default_rng(0), job["rows"]
    requests = requests_of(network, rows).astype(np.float32)
    if job["regime"] == "loose":
        return requests, generator.random((rows, network.P), dtype=np.float32)
    states = np.load(folder / "tight.npy")
    return requests, np.ascontiguousarray(np.resize(states, (rows, network.P)))


def prepared(job: dict[str, Any], folder: Path) -> tuple[Callable[[], object], int, int]:
    """What to time, the slots that one call is, and the bytes it has to read and write."""
    match job["what"]:
        case "copy":
            import torch

            source = torch.zeros(2**26)
            target = torch.empty_like(source)
            return lambda: target.copy_(source), 1, 2 * 2**28
        case "gain" | "gain only":
            return _gain(job, folder)
        case "infida":
            return _infida(job)
        case _:
            return _steps(job)


def _gain(job: dict[str, Any], folder: Path) -> tuple[Callable[[], object], int, int]:
    network, rows = network_of(job), job["rows"]
    requests, y = slots_of(network, job, folder)
    traffic = requests.nbytes + y.nbytes * (2 if job["what"] == "gain" else 1)
    if not job["name"].startswith("idn_gym"):
        from forms import form

        call = form(network, job["name"])
        if job["name"].startswith("torch"):
            import torch

            tensors = torch.from_numpy(requests), torch.from_numpy(y)
            return lambda: call(*tensors), rows, traffic
        if job["name"].startswith("jax"):
            import jax

            arrays = jax.numpy.asarray(requests), jax.numpy.asarray(y)
            return lambda: jax.block_until_ready(call(*arrays)), rows, traffic
        return lambda: call(requests, y), rows, traffic
    import torch

    from idn_gym import batched

    capacities = torch.from_numpy(network.capacities[None].astype(np.float32))
    arguments = network, torch.from_numpy(requests), capacities, torch.from_numpy(y)
    if job["what"] == "gain only":
        return lambda: batched.gain(*arguments, check=False), rows, traffic
    out = torch.empty(rows), torch.empty(rows, network.P)
    check = "checked" in job["name"]
    return lambda: batched.gain_and_subgradient(*arguments, out=out, check=check), rows, traffic


def _infida(job: dict[str, Any]) -> tuple[Callable[[], object], int, int]:
    """A slot of INFIDA: gain and subgradient, step and projection, rounding; requests drawn beforehand."""
    import torch
    from idn_agents.infida.batch import InfidaBatch

    network, rows = network_of({}), job["rows"]
    agents = InfidaBatch([{}] * rows, dtype=getattr(torch, job["name"]), draws="numpy")
    agents.reset(network, range(rows))
    drawn = torch.from_numpy(requests_of(network, 16 * rows).astype(np.float32)).reshape(16, rows, -1)
    capacities = torch.from_numpy(network.capacities[None].astype(np.float32))
    slots = itertools.cycle({"requests": requests, "capacities": capacities} for requests in drawn)
    for _ in range(100):  # away from the start, where all is uniform
        agents.act(next(slots))
    return lambda: agents.act(next(slots)), rows, 0


def _steps(job: dict[str, Any]) -> tuple[Callable[[], object], int, int]:
    import gymnasium

    import idn_gym  # noqa: F401 - registers the ids
    from idn_gym import kernels

    how: dict[str, Any] = {"vectorization_mode": "sync"} if job["name"] == "SyncVectorEnv" else {}
    how |= {"device": "cpu"} if "tensors" in job["name"] else {}
    how |= {"copy": False} if "in place" in job["name"] else {}
    env = gymnasium.make_vec("IDN/TopologyI-Sliding-v0", num_envs=job["rows"], **how)
    env.reset(seed=0)
    network = network_of({})
    packed = kernels.pack(network, np.random.default_rng(0).random((job["rows"], network.P)))
    actions: list[Any] = [np.roll(packed, step, axis=0) for step in range(64)]
    if "tensors" in job["name"]:
        import torch

        actions = [torch.from_numpy(step) for step in actions]

    def block() -> None:  # as many steps as are drawn at a time, each environment cycling through all allocations
        for step in actions:
            env.step(step)

    return block, 64 * job["rows"], 0


def cases() -> dict[str, Callable[[], object]]:
    """Of this library alone, what a commit is compared with another by: each call does a piece of work."""
    chosen = [{"what": "gain", "name": "idn_gym", "rows": rows, "regime": "loose"} for rows in SIZES]
    chosen += [{"what": "infida", "name": "float32", "rows": 64}]
    chosen += [{"what": "steps", "name": name, "rows": 64} for name in ("idn_gym", "idn_gym tensors")]
    ready = cache(lambda n: prepared(chosen[n], Path())[0])  # when first called: it takes seconds
    names = [f"{job['what']}, {job['name']}, B={job['rows']}" for job in chosen]
    return {name: lambda n=n: ready(n)() for n, name in enumerate(names)}


def measured(job: dict[str, Any], folder: Path, repeats: int, threads: int) -> dict[str, Any]:
    """Median and middle half of the seconds per slot, and the growth of memory from before the first call."""
    if "torch" in job["name"] or job["what"] == "copy":
        import torch

        torch.set_num_threads(threads)
    call, slots, traffic = prepared(job, folder)
    began = time.perf_counter()
    if job["what"].startswith("gain"):
        prepared(job | {"rows": 2}, folder)[0]()  # loads and compiles, which takes memory of its own
    before = _memory("VmRSS")
    call()
    warm_up, grown = time.perf_counter() - began, _memory("VmHWM") - before
    once = time.perf_counter()
    call()
    calls = max(1, min(1000, int(0.2 / max(1e-6, time.perf_counter() - once))))
    seconds = []
    on_cpu = time.process_time()
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        seconds.append((time.perf_counter() - began) / calls)
    on_cpu = (time.process_time() - on_cpu) / repeats / calls / slots
    low, median, high = statistics.quantiles(seconds, n=4)
    per_slot = {"median_us": median / slots * 1e6, "low_us": low / slots * 1e6, "high_us": high / slots * 1e6}
    per_slot["cpu_us"] = on_cpu * 1e6  # of all threads: what is left to compare by on a machine that is shared
    rate = traffic / median if traffic else None
    return {**job, **per_slot, "warm_up_s": warm_up, "bytes_per_s": rate, "grown_bytes": grown, "must_move": traffic}


def _memory(key: str) -> int:
    """Bytes resident, now or (VmHWM) at most since the last look at what is resident now; Linux alone."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        return 0
    if key == "VmRSS":
        reset.write_text("5")
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith(key))


def measured_alone(job: dict[str, Any], folder: str, repeats: int, threads: int) -> subprocess.CompletedProcess[str]:
    """`measured` in a process of its own, with so many threads on as many cores."""
    count = str(threads)
    pinned = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), count)
    pinned["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    cores = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else []
    pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    command = [sys.executable, __file__, "--job", json.dumps(job), "--folder", folder]
    command += ["--repeats", str(repeats), "--threads", count]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | pinned, preexec_fn=pin)


def main() -> None:
    """Run every job in its own process, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="jobs whose description contains this")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(measured(json.loads(options.job), options.folder, options.repeats, options.threads)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "tight.npy", tight_states())
        for job in jobs():
            if options.only not in json.dumps(job):
                continue
            done = measured_alone(job, name, options.repeats, job.get("threads", options.threads))
            if done.returncode:
                print(f"{job}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            row = json.loads(done.stdout.splitlines()[-1])
            rows.append(row)
            print(_line(row, rows), flush=True)
    document = {**stamp(), "threads": options.threads, "rows": rows}
    if options.output:
        write(options.output, document)
    if not options.only:
        print("\n\n".join(tables(document).values()))


def _line(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    shown = " ".join(f"{key}={row[key]}" for key in ("rows", "regime", "options", "nodes") if key in row)
    line = f"{row['what']:10s} {row['name']:20s} {shown:28s} {row['median_us']:12,.2f} us  "
    line += f"[{row['low_us']:,.2f}, {row['high_us']:,.2f}]  CPU {row['cpu_us']:,.2f}"
    if row["bytes_per_s"]:
        line += f"  {row['bytes_per_s'] / 1e9:.1f} GB/s"
        line += f" ({row['bytes_per_s'] / rows[0]['bytes_per_s']:.0%} of copy)" if rows[0]["what"] == "copy" else ""
        line += f"  memory +{row['grown_bytes'] / row['must_move']:.1f}x"
    return line


if __name__ == "__main__":
    main()
