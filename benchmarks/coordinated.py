"""INFIDA with coordinated rounding against its rivals: the tables and the picture of docs/coordinated.md.

    python benchmarks/coordinated.py [--seeds 5] [--slots 600] [--jobs 2] [--output benchmarks/results/coordinated.json]
    python benchmarks/coordinated.py --tables benchmarks/results/coordinated.json [--picture FILE.png]

The first command computes everything, part by part (`--parts` for some of them): `causal`, the causal agents on sliding
and bursty streams with the CPU time of each; `law`, the share of what a policy earns that knows the law; `grid`, fixed
popularity at several alpha and budgets against the bounds; `rivals`, one stream per seed for all agents, the greedies
with the parameters that did best on seed 0; `rates`, learning rates of the state; `variants`, what each parameter of
coordination changes; `adversaries`, regret over horizons; `speed`. The second prints the tables of a stored result.
Intervals: 95%, Student's t over seeds; differences are paired.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from coordinated_tables import draw_picture, tables
from idn_agents.infida.bounds import regret_bound
from idn_agents.optimum.dynamic_optimum import popularity_phase
from regret import best_fixed_gain
from stored import read, store

from idn_gym.env.env import observe
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

FIXED = "workload={{kind: zipf, rate: {}, exponent: 1.2}}"
BURSTY = "workload={{kind: burst, rate: {}, exponent: 1.2, shape: 0.3}}"
CASES: dict[str, tuple[str, list[str]]] = {
    **{f"topology-{n}-{kind}": (f"topology-{n}-{kind}", []) for n in (1, 2) for kind in ("fixed", "sliding", "bursty")},
    "abilene-fixed": ("abilene-sliding", [FIXED.format(3750.0)]),
    "abilene-sliding": ("abilene-sliding", []),
    "abilene-bursty": ("abilene-sliding", [BURSTY.format(3750.0)]),
    "geant-fixed": ("geant-sliding", [FIXED.format(6875.0)]),
    "geant-sliding": ("geant-sliding", []),
    "geant-bursty": ("geant-sliding", [BURSTY.format(6875.0)]),
}
BOUNDED = tuple(CASES)  # those that the optimum bounds
CASES |= {
    f"{scenario} at {rate}/s": (scenario, [f"workload.rate={rate}"])
    for scenario in ("topology-1-sliding", "topology-1-bursty", "topology-2-sliding", "topology-2-bursty")
    for rate in (300, 1500, 7500, 15000)
    if not (scenario.startswith("topology-1") and rate == 7500)
}
AGENTS = (
    "infida-coordinated",
    "infida-coordinated:rounding=coordinated",
    "rolling-local-search",
    "infida",
    "static-greedy",
)
GREEDIES = {
    "last-batch-greedy": [f"last-batch-greedy:keep={keep},average={a}" for keep in (0.0, 0.5) for a in (0.0, 0.5, 0.9)],
    "load-aware-greedy": [f"load-aware-greedy:decay={decay}" for decay in (0.0, 0.5, 0.9)],
}
OPTIMUM = "optimum:gap=0.002,time_limit=40"
HALVED = {"dc": 6000, "main-co": 3000, "co": 1500, "bs": 750}
SCALES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
CONDITIONS: dict[str, tuple[str, list[str]]] = {
    "fixed": ("topology-2-fixed", []),
    "sliding": ("topology-2-sliding", []),
    "sliding, 15,000/s": ("topology-2-sliding", ["workload.rate=15000"]),
    "a shift every 10 slots": ("topology-2-sliding", ["workload.every=10"]),
    "alpha 5": ("topology-2-sliding", ["accuracy_weight=5"]),
    "half the budgets": ("topology-2-sliding", [f"nodes.{node}.budget={mb}" for node, mb in HALVED.items()]),
    "bursty": ("topology-2-bursty", []),
    "bursty, shape 0.1": ("topology-2-bursty", ["workload.shape=0.1"]),
    "abilene": ("abilene-sliding", []),
}
VARIANTS = (
    "",
    "learning_rate=scale-free",
    "window=1",
    "window=64",
    "bonus=0",
    "bonus=10",
    "horizon=16",
    "update_weight=100",
    "update_weight=10000",
    "residual=reserve",
)
HORIZONS = (256, 1024, 4096)
ALPHAS, BUDGETS = (1, 2, 4), (0.5, 1, 2, 4)
# of steady counts few slots tell the mean; plans on 1,000 would not be done in that time on Abilene and GEANT
LAW_AWARE = {"sliding": "law-aware:delay=1,samples=120,time_limit=240", "bursty": "law-aware:time_limit=240"}
CAUSAL = ("infida-coordinated", "rolling-local-search", "last-batch-greedy:keep=0.5,average=0.9", "infida")


def scenario_of(case: tuple[str, list[str]], more: Iterable[str] = ()) -> Network:
    """The network of a case."""
    return Network.compile(load_scenario(case[0], [*case[1], *more]))


def rivals_of(case: str, slots: int, seed: int, greedies: list[str]) -> list[dict[str, Any]]:
    """Every agent on one stream."""
    network = scenario_of(CASES[case])
    trace = draw(network, slots, seed)
    bounded = [OPTIMUM] if case in BOUNDED else []
    rows = []
    for agent in [*AGENTS, *greedies, *bounded]:
        result = play(network, trace, AgentSpec.parse(agent), seed)
        about = {"info": result.info} if agent == AGENTS[0] else {}
        rows.append({"case": case, "seed": seed, **result.row(), "agent": agent, **about})
        if agent == OPTIMUM:
            bound = result.info["certified_bound"]
            rows = [row | {"share_of_bound": row["gain"] / bound} for row in rows]
    print(f"{case}, seed {seed}: done", file=sys.stderr, flush=True)
    return rows


def rivals(slots: int, seeds: int, run: Callable[..., Iterable[Any]]) -> list[dict[str, Any]]:
    """All cases: seed 0 with every greedy, the others with those that did best on it."""
    every = [agent for agents in GREEDIES.values() for agent in agents]
    jobs = [(case, slots, 0, every) for case in CASES]
    rows = [row for part in run(rivals_of, *zip(*jobs, strict=True)) for row in part]
    best = {}
    for case in CASES:
        ntag = {row["agent"]: row["ntag"] for row in rows if row["case"] == case}
        best[case] = [max(agents, key=ntag.__getitem__) for agents in GREEDIES.values()]
    jobs = [(case, slots, seed, best[case]) for case in CASES for seed in range(1, seeds)]
    return rows + [row for part in run(rivals_of, *zip(*jobs, strict=True)) for row in part]


def causal_of(case: str, slots: int, seed: int) -> list[dict[str, Any]]:
    """What the causal agents earn on one stream, and the CPU seconds of each whole run."""
    network = scenario_of(CASES[case])
    trace = draw(network, slots, seed)
    rows = []
    for agent in CAUSAL:
        play(network, trace.head(4), AgentSpec.parse(agent), seed)
        began = time.process_time()
        result = play(network, trace, AgentSpec.parse(agent), seed)
        seconds = time.process_time() - began
        rows.append(
            {"case": case, "seed": seed, **result.row(), "agent": agent, "slots": slots, "cpu_seconds": seconds}
        )
    print(f"{case}, seed {seed}: done", file=sys.stderr, flush=True)
    return rows


def law_of(case: str, slots: int, seed: int) -> dict[str, Any]:
    """Total gain beside that of a policy that knows the law, and how many ms per request it is behind in which slots.

    Of a sliding popularity: in slot 0, in those it shifts in and the ones right after them, and in all others.
    """
    network = scenario_of(CASES[case])
    trace = draw(network, slots, seed)
    law = play(network, trace, AgentSpec.parse(LAW_AWARE[case.rpartition("-")[2]]), seed)
    own = play(network, trace, AgentSpec.parse("infida-coordinated"), seed)
    behind = (law.table.gain - own.table.gain) / trace.requests.sum()
    slot, every = np.arange(slots), popularity_phase(network) or slots
    shifted = (slot >= every) & (slot % every < 2)
    parts = {"first": slot == 0, "shifts": shifted, "others": (slot > 0) & ~shifted}
    print(f"{case}, seed {seed}: {own.summary.gain / law.summary.gain:.4f}", file=sys.stderr, flush=True)
    return {
        "case": case,
        "seed": seed,
        "ntag": own.summary.ntag,
        "law": law.summary.ntag,
        "share": own.summary.gain / law.summary.gain,
        "behind": {part: float(behind[of].sum()) for part, of in parts.items()},
    }


def grid_of(scenario: str, alpha: int, factor: float, slots: int, seed: int) -> dict[str, Any]:
    """Share of the bounds on fixed popularity, at an alpha and a factor on all budgets."""
    nodes = [(node.name, factor * node.budget) for node in load_scenario(scenario).nodes if node.budget > 0.0]
    more = [f"accuracy_weight={alpha}", *(f"nodes.{name}.budget={mb}" for name, mb in nodes)]
    network = scenario_of((scenario, more))
    trace = draw(network, slots, seed)
    gain = play(network, trace, AgentSpec.parse("infida-coordinated"), seed).summary.gain
    info = play(network, trace, AgentSpec.parse(OPTIMUM), seed).info
    case = f"{scenario}, alpha {alpha}, {factor:g} x the budgets"
    print(f"{case}, seed {seed}: {gain / info['bound']:.4f}", file=sys.stderr, flush=True)
    return {"case": case, "seed": seed, "certified": gain / info["certified_bound"], "solver": gain / info["bound"]}


def rates_of(condition: str, slots: int, seed: int) -> dict[str, Any]:
    """NTAG of the state at each rate; it is not rounded more than once."""
    network = scenario_of(CONDITIONS[condition])
    trace = draw(network, slots, seed)
    agents = {f"{scale:g}": {"scale": scale} for scale in SCALES}
    agents |= {rate: {"learning_rate": rate} for rate in ("theory", "anytime", "adaptive")}
    ntag = {
        name: play(network, trace, AgentSpec("infida", {"refresh": slots, **agent}), seed).summary.fractional_ntag
        for name, agent in agents.items()
    }
    return {"condition": condition, "seed": seed, "ntag": ntag}


def variants_of(case: str, slots: int, seed: int) -> list[dict[str, Any]]:
    """What each parameter changes, one at a time."""
    network = scenario_of(CASES[case])
    trace = draw(network, slots, seed)
    specs = [AgentSpec.parse(f"infida-coordinated:{variant}") for variant in VARIANTS]
    results = [play(network, trace, spec, seed) for spec in specs]
    return [
        {"case": case, "seed": seed, **result.row(), "variant": variant or "defaults"}
        for variant, result in zip(VARIANTS, results, strict=True)
    ]


def against(network: Network, slots: int, seed: int, victim: str) -> Trace:
    """A stream made for a victim: each batch asks for one task that it, simulated with this seed, does not hold."""
    agent = AgentSpec.parse(victim).make()
    agent.reset(network, seed)
    rng = np.random.default_rng([4, seed])
    requests = np.zeros((slots, network.R))
    observation = observe(network, requests[0], network.capacities, np.zeros(network.P, dtype=np.int8))
    for slot in range(slots):
        held = agent.act(observation)
        tasks = set(network.model_task[network.placement_model[held == 1]].tolist())
        others = [rho for rho in range(network.R) if network.type_task[rho] not in tasks]
        requests[slot, others[int(rng.integers(len(others)))]] = 600.0
        observation = observe(network, requests[slot], network.capacities, held)
    return Trace(requests, network.capacities[None])


def adversaries_of(slots: int, seed: int) -> list[dict[str, Any]]:
    """Regret against the best fixed state, in slots' worth, on streams made for three victims."""
    network = scenario_of(("adversary", ["workload.exponent=0", f"horizon={slots}"]))
    unit = network.service.largest_saving * 600.0
    victims = {"last-batch-greedy": None, "coordinated, last batch": "window=1", "coordinated": ""}
    rows = []
    for name, options in victims.items():
        victim = f"infida-coordinated:rounding=coordinated,{options}"
        trace = draw(network, slots, seed) if options is None else against(network, slots, seed, victim)
        best = best_fixed_gain(network, trace)
        window = f",{options}" if options else ""
        agents = {
            "last-batch-greedy": "last-batch-greedy",
            "coordinated": f"infida-coordinated:rounding=coordinated{window}",
            "guarded": f"infida-coordinated:rounding=guarded{window}",
            "infida": "infida",
        }
        for agent, spec in agents.items():
            result = play(network, trace, AgentSpec.parse(spec), seed)
            gained = {agent: result.summary.gain}
            if agent == "guarded" and result.table.fractional_gain is not None:
                gained["state"] = float(result.table.fractional_gain.sum())
            rows += [
                {"stream": name, "slots": slots, "seed": seed, "agent": key, "regret": (best - gain) / unit}
                for key, gain in gained.items()
            ]
        rows.append(
            {"stream": name, "slots": slots, "seed": seed, "agent": "best fixed state gains", "regret": best / unit}
        )
    bound = regret_bound(network, slots) / unit
    return [row | {"bound": bound} for row in rows]


def speed(slots: int) -> list[dict[str, Any]]:
    """Slots per second of CPU time, of a whole run with its serving; the median of five, compiled code loaded."""
    rows = []
    for case in ("topology-1-fixed", "topology-1-sliding", "topology-1-bursty"):
        network = scenario_of(CASES[case])
        trace = draw(network, slots, 0)
        for agent in ("infida-coordinated", "infida-coordinated:rounding=coordinated", "infida", "last-batch-greedy"):
            play(network, trace.head(4), AgentSpec.parse(agent), 0)
            seconds = []
            for _ in range(5):
                began = time.process_time()
                play(network, trace, AgentSpec.parse(agent), 0)
                seconds.append(time.process_time() - began)
            rows.append({"case": case, "agent": agent, "slots_per_second": slots / statistics.median(seconds)})
    return rows


def main() -> None:
    """Compute and store, or print what is stored."""
    parts = ("causal", "law", "grid", "rivals", "rates", "variants", "adversaries", "speed")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    networks = ("topology-1-fixed", "topology-2-fixed")
    parser.add_argument("--networks", nargs="+", choices=networks, default=networks, help="of the grid")
    moving = tuple(case for case in BOUNDED if not case.endswith("fixed"))
    parser.add_argument("--cases", nargs="+", choices=moving, default=moving, help="of the law")
    parser.add_argument("--output", type=Path, help="added to what is there, part by part")
    parser.add_argument("--tables", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.tables:
        document = read(options.tables)
        print(*tables(document).values(), sep="\n\n")
        if options.picture:
            draw_picture(document, options.picture)
        return
    seeds = range(options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for part in options.parts:
            began = time.perf_counter()
            rows: list[Any] = []
            if part == "causal":
                jobs = [(case, options.slots, seed) for case in moving for seed in seeds]
                rows = [row for found in pool.map(causal_of, *zip(*jobs, strict=True)) for row in found]
            elif part == "law":
                jobs = [(case, options.slots, seed) for case in options.cases for seed in seeds]
                rows = list(pool.map(law_of, *zip(*jobs, strict=True)))
            elif part == "grid":
                cells = [(s, a, b) for s in options.networks for a in ALPHAS for b in BUDGETS]
                grid = [(*cell, options.slots // 2, seed) for cell in cells for seed in seeds]
                rows = list(pool.map(grid_of, *zip(*grid, strict=True)))
            elif part == "rivals":
                rows = rivals(options.slots, options.seeds, pool.map)
            elif part == "rates":
                jobs = [(condition, options.slots // 2, seed) for condition in CONDITIONS for seed in seeds]
                rows = list(pool.map(rates_of, *zip(*jobs, strict=True)))
            elif part == "variants":
                cases = ("topology-1-sliding", "topology-1-bursty", "topology-2-bursty")
                jobs = [(case, options.slots // 2, seed) for case in cases for seed in seeds]
                rows = [row for found in pool.map(variants_of, *zip(*jobs, strict=True)) for row in found]
            elif part == "adversaries":
                pairs = [(slots, seed) for slots in reversed(HORIZONS) for seed in seeds]
                rows = [row for found in pool.map(adversaries_of, *zip(*pairs, strict=True)) for row in found]
            else:
                rows = speed(options.slots)
            found = {"seconds": time.perf_counter() - began, "rows": rows}
            print(f"{part}: {found['seconds']:.0f} s", file=sys.stderr, flush=True)
            print(*tables({part: found}).values(), sep="\n\n", flush=True)
            if options.output:
                store(options.output, found, part)


if __name__ == "__main__":
    main()
