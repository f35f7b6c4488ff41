"""What classes of priority cost: four classes beside one on the same requests, and one class beside another checkout.

    python benchmarks/services.py [--against DIR] [--repeats 15] [--output FILE.json]

Topology I, sliding: as it is packaged (480 request types), and with four services per task asked for at every entry
node (1,920), of one priority and of four. Each checkout works in a process of its own, pinned to one core, warm; what
is compared takes turns, case by case, and a ratio is that of one turn. Time is the processor's, which leaves out
waiting for others on the machine, though not what they do to the caches. `--against` names the root of another checkout
of this repository.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["NUMBA_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parents[1]
PLAIN, ONE, FOUR = "as packaged", "services, one class", "services, four classes"
ROWS = (1, 1024)


def scenario(form: str) -> Any:
    """The packaged scenario, or that with four services per task."""
    from idn_gym.library.load import load_scenario
    from idn_gym.scenario import parse

    plain = load_scenario("topology-1-sliding")
    if form == PLAIN:
        return plain
    values = plain.to_dict()
    values["services"] = [
        {"name": f"{task}/{c}", "stages": [task], "priority": c if form == FOUR else 0}
        for task in values["tasks"]
        for c in range(4)
    ]
    return parse(values, form)


def cases(form: str) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    import numpy as np

    from idn_gym import kernels
    from idn_gym.env.env import IDNEnv
    from idn_gym.env.vector_env import IDNVectorEnv
    from idn_gym.experiment.play import play
    from idn_gym.experiment.spec import AgentSpec
    from idn_gym.model.network import Network
    from idn_gym.workload.stream import draw

    made = scenario(form)
    network, generator = Network.compile(made), np.random.default_rng(0)
    capacities, most = network.capacities, max(ROWS)
    requests = draw(network, 64, 0).requests[np.arange(most) % 64]
    loose = generator.random((most, network.P))
    tight = np.exp(kernels.project(network, generator.normal(size=loose.shape), network.spendable))
    packed = kernels.pack(network, loose)
    trace = draw(network, 20, 0)
    found: dict[str, Callable[[], object]] = {}

    def per_row(name: str, kernel: Any, allocation: Any) -> None:
        found[f"{name}, B=1"] = lambda: [
            kernel(network, requests[b : b + 1], capacities, allocation[b : b + 1]) for b in range(32)
        ]
        found[f"{name}, B={most}"] = lambda: kernel(network, requests, capacities, allocation)

    per_row("gain + subgradient, loose", kernels.gain_and_subgradient, loose)
    per_row("gain + subgradient, tight", kernels.gain_and_subgradient, tight)
    per_row("gain, tight", kernels.gain, tight)
    per_row("serve", kernels.serve, packed)
    env, many = IDNEnv(made), IDNVectorEnv(made, num_envs=256)
    env.reset(seed=0)
    many.reset(seed=0)
    found["environment step"] = lambda: [env.step(packed[b]) for b in range(32)]
    found["environment step, B=256"] = lambda: many.step(packed[:256])
    found["INFIDA slot"] = lambda: play(network, trace, AgentSpec("infida"), 0)
    return found


def work() -> None:
    """A process that measures: a line in, `form` and `case` as JSON; a line out, seconds, or the names of all cases."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    made: dict[str, dict[str, Callable[[], object]]] = {}
    for line in sys.stdin:
        form, case = json.loads(line)
        if form not in made:
            made[form] = cases(form)
            for call in made[form].values():
                call()  # compiled, and warm
        if case is None:
            print(json.dumps(list(made[form])), flush=True)
            continue
        began = time.process_time()
        made[form][case]()
        print(json.dumps(time.process_time() - began), flush=True)


class Worker:
    """The process of one checkout."""

    def __init__(self, root: Path) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "agents")])}
        command = [sys.executable, __file__, "--work"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, form: str, case: str | None = None) -> Any:
        """Seconds of a case, or the names of all."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([form, case]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("a worker ended early; see above")
        return json.loads(answer)


def compared(first: tuple[Worker, str], second: tuple[Worker, str], repeats: int) -> list[dict[str, Any]]:
    """A row per case: milliseconds of both, medians, and the ratio of the second to the first with its middle half."""
    rows = []
    names = [worker.ask(form) for worker, form in (first, second)]  # which makes both ready
    for case in names[0]:
        turns = [[worker.ask(form, case) for worker, form in (first, second)] for _ in range(repeats)]
        ratios = sorted(after / before for before, after in turns)
        low, _, high = statistics.quantiles(ratios, n=4)
        before, after = (statistics.median(column) * 1e3 for column in zip(*turns, strict=True))
        ratio = statistics.median(ratios)
        rows.append({"case": case, "first_ms": before, "second_ms": after, "ratio": ratio, "low": low, "high": high})
        print(f"  {case:36s} {before:9.2f} ms {after:9.2f} ms   x {ratio:.2f} [{low:.2f}, {high:.2f}]", flush=True)
    return rows


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="root of another checkout")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    from idn_gym.experiment.folders import versions

    tables = {}
    here = Worker(ROOT)
    if options.against:
        print(f"{options.against}, then this checkout: {PLAIN}")
        there = Worker(options.against.resolve())
        tables["against"] = compared((there, PLAIN), (here, PLAIN), options.repeats)
    print(f"{ONE}, then {FOUR}")
    tables["classes"] = compared((here, ONE), (here, FOUR), options.repeats)
    about = {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "repeats": options.repeats,
        **tables,
    }
    if options.output:
        options.output.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
