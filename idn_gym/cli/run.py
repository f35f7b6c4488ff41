"""Agents against one another: ``run`` on one request stream, ``sweep`` on all that a sweep file names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from idn_gym.cli.options import (
    NOTHING_TO_RESUME,
    Address,
    AsJson,
    ByService,
    CapacityFile,
    Overrides,
    ScenarioName,
    Seeds,
    Slots,
    TraceFile,
    Verbose,
    Workers,
    command_of_seed,
    cores,
    kept_or_temporary,
    print_json,
    seeds_in,
    typed_command,
)
from idn_gym.common.text import printable
from idn_gym.errors import IdnError

if TYPE_CHECKING:
    from idn_gym.experiment.spec import RunSpec

_AGENT_HELP = "name, FILE.py:Class or package.module:Class, and :key=value,key=value behind it; repeatable"


def run(
    scenario: ScenarioName,
    agent: Annotated[list[str], typer.Option(metavar="AGENT", help=_AGENT_HELP)],
    overrides: Overrides = None,
    slots: Slots = None,
    seed: Annotated[int | None, typer.Option(min=0, help="seed of the stream and of the agents; default: 0")] = None,
    seeds: Seeds = None,
    trace: TraceFile = None,
    capacities: CapacityFile = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes for --seeds; default: one per core")] = None,
    output: Annotated[Path | None, typer.Option(help="record folder to write")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with, or add to, the run in --output")] = False,
    report: Annotated[bool, typer.Option("--report", help="also one page to look at: report.html in --output")] = False,
    by: ByService = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Let agents face one request stream, and compare. With --seeds, one for each of several seeds."""
    from idn_gym.experiment.spec import AgentSpec, RunSpec
    from idn_gym.library.load import load_scenario

    if resume and output is None:
        raise IdnError(NOTHING_TO_RESUME)
    if seeds is not None and seed is not None:
        raise IdnError(f"--seed {seed}: goes not with --seeds; give one of them")
    if seeds is None and workers is not None:
        raise IdnError(f"--workers {workers}: share out the seeds of --seeds; a run of one seed has one process")
    if seeds is not None and by is not None:
        raise IdnError(f"--by {by}: takes the runs of one seed apart; goes not with --seeds")
    if seeds is not None and verbose:
        raise IdnError("--verbose: shows what agents log on one stream; goes not with --seeds")
    if report:
        if output is None:
            raise IdnError("--report: needs --output, the record folder that the page is about")
        from idn_gym.report.page.html import require_report, write_page

        require_report()  # told before the agents play, not after
    chosen = [seed or 0] if seeds is None else seeds_in(seeds)
    loaded = load_scenario(scenario, overrides or ())
    agents = [AgentSpec.parse(text) for text in agent]
    how: dict[str, Any] = {"slots": slots, "trace": trace, "capacities": capacities}
    runs = {number: tuple(RunSpec(loaded, spec, seed=number, **how) for spec in agents) for number in chosen}
    if seeds is None:
        _run(runs[chosen[0]], output, resume, by is not None, verbose, as_json)
    else:
        _run_seeds(runs, workers or cores(), output, resume, as_json)
    if report and output is not None:
        written = write_page([output])
        if not as_json:
            print(f"page: {printable(written)}")


def _run(
    runs: Sequence[RunSpec], output: Path | None, resume: bool, by_service: bool, verbose: bool, as_json: bool
) -> None:
    """Runs of one seed."""
    from idn_gym.experiment import evaluation, records
    from idn_gym.experiment.bounds import bound_shares
    from idn_gym.report import tables
    from idn_gym.report.progress import PlayProgress

    about = runs[0].scenario.name, runs[0].seed
    plots = _plots().plot_run if output is not None else None
    with PlayProgress(verbose) as progress:
        network, stream, results = records.run(
            runs,
            output,
            resume=resume,
            command=typed_command("--report"),
            progress=progress,
            plots=plots,
            keep=by_service,
        )
    services = [evaluation.by_service(network, stream, result.placed()) for result in results if by_service]
    if as_json:
        rows = [{**result.row(), **bound_shares(result, results)} for result in results]
        for row, of_agent in zip(rows, services, strict=False):
            row["services"] = of_agent
        print_json({"scenario": about[0], "slots": stream.slots, "seed": about[1], "agents": rows})
        return
    title = f"{about[0]}, {stream.slots} slots, seed {about[1]}, {int(results[0].table.requests.sum()):,} requests"
    _show(tables.results(results, title), "records and plots", output)
    for result, of_agent in zip(results, services, strict=False):
        _show(tables.services(of_agent, str(result.agent)))


def _run_seeds(
    runs: Mapping[int, tuple[RunSpec, ...]], workers: int | None, output: Path | None, resume: bool, as_json: bool
) -> None:
    """Runs of several seeds: a sweep over them, in folders of their own names."""
    from idn_gym.experiment import sweep as sweeps
    from idn_gym.experiment.intervals import compared
    from idn_gym.experiment.record_files import read_figures, read_row
    from idn_gym.report import tables
    from idn_gym.report.progress import SweepProgress

    seeds = list(runs)
    first = runs[seeds[0]]
    scenario = first[0].scenario.name
    slots = first[0].stream()[1].slots  # what is wrong with a trace is told before any worker begins
    pictures = _plots() if output is not None else None
    command = typed_command("--report")
    cells = [
        sweeps.Cell({"scenario": scenario, "seed": seed}, runs[seed], f"seed-{seed}", command_of_seed(command, seed))
        for seed in seeds
    ]
    title = f"{scenario}, {slots} slots"
    with kept_or_temporary(output, resume) as folder, SweepProgress() as progress:
        rows = sweeps.run(
            cells,
            folder,
            workers=workers,
            resume=resume,
            command=command,
            progress=progress,
            plots=pictures.plot_run if pictures else None,
        )
        agents = [read_row(folder / cells[0].folder / spec.agent.folder, spec.agent) for spec in first]
        if pictures:
            by_seed = {
                seed: [read_figures(folder / f"seed-{seed}" / spec.agent.folder, spec.agent) for spec in runs[seed]]
                for seed in seeds
            }
            alpha = first[0].scenario.accuracy_weight
            pictures.draw_seeds(by_seed, folder, accuracy_weight=alpha, title=title)
    hindsight = [agent["agent"] for agent in agents if agent["hindsight"]]
    document = {
        "scenario": scenario,
        "slots": slots,
        "seed": seeds[0],
        "seeds": seeds,
        "agents": compared(rows, sweeps.FIGURES),
        "runs": [{key: value for key, value in row.items() if key not in ("scenario", "slots")} for row in rows],
    }
    if as_json:
        print_json(document)
    else:
        title = f"{title}, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
        _show(tables.seeds(document, hindsight, title), "records, table.csv and plots", output)


def sweep(
    grid: Annotated[Path, typer.Argument(help="sweep file: scenarios, agents, seeds, overrides; docs/sweeps.md")],
    workers: Workers = None,
    address: Address = None,
    output: Annotated[Path | None, typer.Option(help="folder for the records and table.csv")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the interrupted sweep in --output")] = False,
    max_runs: Annotated[int | None, typer.Option(min=1, help="refuse a file of more runs; default: 10000")] = None,
    as_json: AsJson = False,
) -> None:
    """Run every combination of a sweep file. On several processes, or a Ray cluster."""
    from idn_gym.experiment import sweep as sweeps
    from idn_gym.experiment.sweep_file import MOST_RUNS, read_sweep
    from idn_gym.report import tables
    from idn_gym.report.progress import SweepProgress

    draw = _drawing() if output is not None else None
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
        if draw is not None:
            draw(rows, folder / "ntag.png")
    if as_json:
        print_json({"rows": rows})
        return
    title = f"{printable(grid.name)}: {len(cells)} cells, {len(rows)} runs"
    _show(tables.sweep(rows, title), f"records, table.csv{' and plots' * (draw is not None)}", output)


def _show(table: Any, kept: str = "", output: Path | None = None) -> None:
    """Print a table, and where what is kept is found."""
    from idn_gym.report.console import console

    screen = console()
    screen.print(table)
    if output is not None:
        screen.print(f"{kept} in {printable(output)}", soft_wrap=True)


def _drawing() -> Callable[[Sequence[dict[str, Any]], Path], object] | None:
    """What draws a sweep; None, and a line about it, without matplotlib: workers of a cluster need none of it."""
    from idn_gym.common.figures import require_matplotlib
    from idn_gym.report.sweep_plots import draw

    try:
        require_matplotlib()
    except IdnError as error:
        print(f"idn-gym: no plots: {error}", file=sys.stderr, flush=True)
        return None
    return draw


def _plots() -> Any:
    """What draws runs; a missing matplotlib is told before the agents play, not after."""
    from idn_gym.common.figures import require_matplotlib

    require_matplotlib()
    from idn_gym.report import run_plots

    return run_plots
