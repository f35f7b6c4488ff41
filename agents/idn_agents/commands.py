"""Commands that the agents bring to ``idn-gym``; found through the entry-point group ``idn_gym.commands``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from idn_gym.cli import AsJson, CapacityFile, Overrides, ScenarioName, Seed, Slots, TraceFile, print_json


def optimum(
    scenario: ScenarioName,
    trace: TraceFile = None,
    capacities: CapacityFile = None,
    slots: Slots = None,
    seed: Seed = 0,
    gap: Annotated[float, typer.Option(min=0.0, max=1.0, help="stop within this relative gap")] = 0.001,
    time_limit: Annotated[float | None, typer.Option(min=0.0, help="seconds; there is always an allocation")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Best static allocation in hindsight, with a proven bound."""
    from idn_agents.optimum import solve
    from idn_gym.allocation_file import named
    from idn_gym.experiment import AgentSpec, RunSpec
    from idn_gym.scenario_file import load_scenario
    from idn_gym.tables import console

    spec = RunSpec(load_scenario(scenario, overrides or ()), AgentSpec("optimum"), seed, slots, trace, capacities)
    network, stream = spec.stream()

    def progress(gain: float, bound: float, phase: str) -> None:
        share = (bound - gain) / bound if bound > 0 else 0.0
        print(f"{phase}: gain {gain:.6g} ms, bound {bound:.6g} ms, gap {share:.3%}", file=sys.stderr)

    solution = solve(network, stream, gap=gap, time_limit=time_limit, progress=progress)
    allocation = named(network, solution.allocation)
    if as_json:
        print_json({**solution.info(), "allocation": allocation})
        return
    out = console()
    out.print(f"{network.scenario.name}, {stream.slots} slots: {solution.status} in {solution.seconds:.1f} s")
    out.print(f"gain            {solution.gain:.9g} ms")
    out.print(f"bound           {solution.bound:.9g} ms (gap {solution.gap:.4%})")
    out.print(f"certified bound {solution.certified_bound:.9g} ms, recomputable without a solver")
    for node, models in allocation.items():
        out.print(f"{node}: {', '.join(models)}", soft_wrap=True)
