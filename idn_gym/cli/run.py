"""Agents against one another: ``run`` on one request stream, ``sweep`` on all that a sweep file names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from idn_gym.cli.options import (
    NOTHING_TO_RESUME,
    Address,
    AsJson,
    CapacityFile,
    Overrides,
    ScenarioName,
    Seed,
    Slots,
    TraceFile,
    Workers,
    cores,
    kept_or_temporary,
    print_json,
    typed_command,
)
from idn_gym.common.text import printable
from idn_gym.errors import IdnError

_AGENT_HELP = "name, FILE.py:Class or package.module:Class, and :key=value,key=value behind it; repeatable"


def run(
    scenario: ScenarioName,
    agent: Annotated[list[str], typer.Option(metavar="AGENT", help=_AGENT_HELP)],
    overrides: Overrides = None,
    slots: Slots = None,
    seed: Seed = 0,
    trace: TraceFile = None,
    capacities: CapacityFile = None,
    output: Annotated[Path | None, typer.Option(help="record folder to write")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the interrupted run in --output")] = False,
    as_json: AsJson = False,
) -> None:
    """Let agents face one and the same request stream, and compare them."""
    from idn_gym.experiment.bounds import bound_shares
    from idn_gym.experiment.records import run as run_specs
    from idn_gym.experiment.spec import AgentSpec, RunSpec
    from idn_gym.library.load import load_scenario
    from idn_gym.report import tables
    from idn_gym.report.console import console
    from idn_gym.report.progress import PlayProgress

    if resume and output is None:
        raise IdnError(NOTHING_TO_RESUME)
    loaded = load_scenario(scenario, overrides or ())
    how: dict[str, Any] = {"seed": seed, "slots": slots, "trace": trace, "capacities": capacities}
    specs = [RunSpec(loaded, AgentSpec.parse(text), **how) for text in agent]
    plots = _plots() if output is not None else None
    with PlayProgress() as progress:
        _, stream, results = run_specs(
            specs, output, resume=resume, command=typed_command(), progress=progress, plots=plots
        )
    if as_json:
        rows = [{**result.row(), **bound_shares(result, results)} for result in results]
        print_json({"scenario": loaded.name, "slots": stream.slots, "seed": seed, "agents": rows})
        return
    title = f"{loaded.name}, {stream.slots} slots, seed {seed}, {int(stream.requests.sum()):,} requests"
    screen = console()
    screen.print(tables.results(results, title))
    if output is not None:
        screen.print(f"records and plots in {printable(output)}", soft_wrap=True)


def sweep(
    grid: Annotated[Path, typer.Argument(help="sweep file: scenarios, agents, seeds, overrides; docs/sweeps.md")],
    workers: Workers = None,
    address: Address = None,
    output: Annotated[Path | None, typer.Option(help="folder for the records and table.csv")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the interrupted sweep in --output")] = False,
    max_runs: Annotated[int | None, typer.Option(min=1, help="refuse a file of more runs; default: 10000")] = None,
    as_json: AsJson = False,
) -> None:
    """Run every combination of a sweep file, on several processes or a Ray cluster: records and one table."""
    from idn_gym.experiment import sweep as sweeps
    from idn_gym.experiment.sweep_file import MOST_RUNS, read_sweep
    from idn_gym.report import tables
    from idn_gym.report.console import console
    from idn_gym.report.progress import SweepProgress

    most = MOST_RUNS if max_runs is None else max_runs
    cells = read_sweep(grid, most, lambda line: print(f"idn-gym: {line}", file=sys.stderr, flush=True))
    with kept_or_temporary(output, resume) as folder, SweepProgress() as progress:
        rows = sweeps.run(
            cells,
            folder,
            workers=workers or cores(address),
            resume=resume,
            address=address,
            command=typed_command(),
            progress=progress,
        )
    if as_json:
        print_json({"rows": rows})
        return
    screen = console()
    screen.print(tables.sweep(rows, f"{printable(grid.name)}: {len(cells)} streams, {len(rows)} runs"))
    if output is not None:
        screen.print(f"records and table.csv in {printable(output)}", soft_wrap=True)


def _plots() -> Any:
    from idn_gym.report.run_plots import plot_run

    return plot_run
