"""Nodes that learn for themselves or together, beside agents that decide in one place or by the protocol.

    python benchmarks/multi_agent.py run --output benchmarks/results/multi_agent.json     # some CPU minutes
    python benchmarks/multi_agent.py show benchmarks/results/multi_agent.json

Training: 5,000 slots, seeds 0 to 2, on Topology II 0 and 1. Evaluation: streams of seeds 2000 to 2004, 150 slots,
without noise; no choice was made on them (the number of slots was, on streams of seeds 1500 and 1501).
"""

from __future__ import annotations

import sys
import time
from typing import Any

import by_scenario
import numpy as np
from idn_agents.learning.multi_agent.learner import evaluate, train

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario

SCENARIOS = {"tiny": range(3), "topology-2-sliding": range(2)}  # seeds of training
RIVALS = ("infida-coordinated", "infida-distributed", "random")
STEPS = 5_000
STREAMS, SLOTS = range(2000, 2005), 150


def study(name: str) -> list[dict[str, Any]]:
    """One row per agent, or per kind of learner and training seed: its gain per request (ms) on each stream."""
    scenario = load_scenario(name)
    rows: list[dict[str, Any]] = []

    def add(**row: Any) -> None:
        rows.append({"scenario": scenario.name, **row})
        print(rows[-1], file=sys.stderr, flush=True)

    for agent in RIVALS:
        found = []
        for seed in STREAMS:
            network, trace = RunSpec(scenario, AgentSpec("none"), seed=seed, slots=SLOTS).stream()
            found.append(float(play(network, trace, agent, seed).summary.ntag or 0.0))
        add(agent=agent, ntag=found)
    for shared in (True, False):
        weights = "shared" if shared else "own"
        for seed in SCENARIOS[scenario.name]:
            untrained = train(scenario, shared=shared, steps=0, seed=seed)
            add(agent="untrained", weights=weights, seed=seed, ntag=evaluate(scenario, untrained, STREAMS, SLOTS))
            for reward in ("local", "gain"):
                began = time.process_time()
                policy = train(scenario, shared=shared, reward=reward, steps=STEPS, seed=seed)
                cpu = time.process_time() - began
                found = evaluate(scenario, policy, STREAMS, SLOTS)
                add(agent="learner", weights=weights, reward=reward, seed=seed, cpu_seconds=cpu, ntag=found)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, best first: mean over training seeds and streams, lowest to highest over training seeds."""
    lines = ["| agent | weights | reward | gain per request (ms) | over training seeds |", "|---|---|---|---|---|"]
    kinds: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        kind = (row["agent"], row.get("weights", ""), row.get("reward", ""))
        kinds.setdefault(kind, []).append(float(np.mean(row["ntag"])))
    for (agent, weights, reward), each in sorted(kinds.items(), key=lambda item: -np.mean(item[1])):
        name = f"`{agent}`" if agent in RIVALS else agent
        span = f"{min(each):.2f} to {max(each):.2f}" if len(each) > 1 else ""
        lines.append(f"| {name} | {weights} | {reward} | {np.mean(each):.2f} | {span} |")
    return "\n".join(lines)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by scenario."""
    return by_scenario.tables(document, table)


if __name__ == "__main__":
    by_scenario.main(__doc__, SCENARIOS, study, table)
