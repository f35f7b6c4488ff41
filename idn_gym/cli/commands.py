"""The command line, ``idn-gym``: each command reads its input, calls the library and prints."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup

from idn_gym import plugins
from idn_gym.cli import stdout, terminal
from idn_gym.common import startup
from idn_gym.common.text import line, printable, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.faults import phrase

_Function = TypeVar("_Function", bound=Callable[..., Any])

_LARGEST = 2**64  # whole numbers of the command line are below


class _Command(TyperCommand):
    """Refuses numbers that no computation takes, of every option alike, before anything runs."""

    def invoke(self, context: Any) -> Any:
        for parameter in self.params:
            value = context.params.get(parameter.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise IdnError(f"{parameter.opts[0]}: {value}; must be a finite number")
            if isinstance(value, int) and abs(value) >= _LARGEST:
                raise IdnError(f"{parameter.opts[0]}: {shown(value)}; must be a whole number below 2^64")
        return super().invoke(context)


class _Commands(TyperGroup):
    """Leaves to `main` what typer would end in words of its own."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _passed_on():
            return super().make_context(*arguments, **options)

    def invoke(self, context: Any) -> Any:
        with _passed_on():
            return super().invoke(context)


class _Typer(typer.Typer):
    """A program all of whose commands are `_Command`."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        return super().command(name, **{"cls": _Command, **options})


app = _Typer(
    cls=_Commands,
    help="Inference delivery networks: which ML models should live where?",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _json_alone(context: typer.Context, as_json: bool) -> bool:
    if as_json:  # the root's end is the command's, whatever becomes of the other options
        context.find_root().with_resource(stdout.only_documents())
    return as_json


ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="packaged name, id, or a scenario file")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override, e.g. workload.rate=300")
]
AsJson = Annotated[
    bool, typer.Option("--json", callback=_json_alone, help="one JSON document on stdout and nothing else")
]
Slots = Annotated[int | None, typer.Option(min=1, help="slots; default: the trace's, or the scenario's horizon")]
Seed = Annotated[int, typer.Option(min=0, help="seed of the request stream and of the agents")]
TraceFile = Annotated[Path | None, typer.Option("--trace", help="request file that replaces the workload")]
Workers = Annotated[int | None, typer.Option(min=1, help="processes; default: one per core")]
Address = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="run on this Ray cluster; auto, ray://HOST:PORT, or local")
]
CapacityFile = Annotated[Path | None, typer.Option("--capacities", help="capacity file that goes with the trace")]

_ASIDE = ("--output", "--workers", "--address", "--max-runs")  # options that say where and how fast, not what
_Refusal: Any = typer.BadParameter.__mro__[2]  # what typer says of wrong usage; it has no public name everywhere
_NOTHING_TO_RESUME = "--resume: needs --output, the record folder to go on with"


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Packaged scenarios and registered agents."""
    from idn_gym.library.load import load_scenario
    from idn_gym.library.names import SCENARIO_OF_ID
    from idn_gym.model.network import Network
    from idn_gym.report import tables

    rows = [(env_id, name, Network.compile(load_scenario(name))) for env_id, name in SCENARIO_OF_ID.items()]
    agents = plugins.names(plugins.AGENTS)
    if as_json:
        scenarios = [
            {"id": env_id, "name": name, **_sizes(network), "horizon": network.scenario.horizon}
            for env_id, name, network in rows
        ]
        print_json({"scenarios": scenarios, "agents": agents})
        return
    console = tables.console()
    console.print(tables.scenarios(rows))
    console.print(f"agents: {', '.join(agents)}", soft_wrap=True)


@app.command()
def show(
    scenario: ScenarioName,
    overrides: Overrides = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="the scenario file itself: a start for one's own")] = False,
    as_json: AsJson = False,
) -> None:
    """Sizes, nodes, models, request types and the provenance of every figure."""
    from idn_gym.library.load import load_scenario
    from idn_gym.model.network import Network
    from idn_gym.report import tables
    from idn_gym.scenario.file import to_yaml

    loaded = load_scenario(scenario, overrides or ())
    if as_yaml:
        sys.stdout.write(to_yaml(loaded))
        return
    network = Network.compile(loaded)
    if as_json:
        tasks, names = loaded.tasks, network.node_names
        types = [
            {"task": tasks[network.type_task[rho]], "path": [names[v] for v in network.paths[rho] if v >= 0]}
            for rho in range(network.R)
        ]
        document = {"sizes": _sizes(network), "request_types": types, "scenario": loaded.to_dict()}
        print_json({"name": loaded.name, **document, "provenance": loaded.provenance})
        return
    console = tables.console()
    sizes = ", ".join(f"{axis} = {size:,}" for axis, size in _sizes(network).items())
    workload = loaded.workload.model_dump(exclude_none=True, exclude_defaults=True) if loaded.workload else "none"
    console.print(f"{loaded.name}: {sizes}, slots of {loaded.slot_seconds:g} s, horizon {loaded.horizon}")
    console.print(f"accuracy weight {loaded.accuracy_weight:g} ms per point, workload {workload}", soft_wrap=True)
    for table in (tables.nodes(network), tables.models(loaded), tables.request_types(network)):
        console.print(table)
    if loaded.provenance:
        console.print(tables.provenance(loaded))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="scenario, trace, capacity or allocation file")],
    scenario: Annotated[str | None, typer.Option(help="the scenario that a trace or allocation is for")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Validate a file; its kind is told by its content."""
    from idn_gym.cli.check import check_file

    kind = check_file(file, scenario, overrides or ())
    if as_json:
        print_json({"ok": True, "kind": kind})
        return
    print(f"{printable(file)}: a valid {kind} file")


@app.command()
def trace(
    scenario: ScenarioName,
    overrides: Overrides = None,
    slots: Slots = None,
    seed: Seed = 0,
    output: Annotated[Path | None, typer.Option(help="request file to write; default: stdout")] = None,
    capacities: Annotated[Path | None, typer.Option(help="capacity file to write as well")] = None,
) -> None:
    """Write the request stream that a seed gives, as a trace file."""
    from idn_gym.common.files import write_text
    from idn_gym.experiment.experiment import AgentSpec, RunSpec
    from idn_gym.library.load import load_scenario
    from idn_gym.workload.trace import capacities_csv, requests_csv

    spec = RunSpec(load_scenario(scenario, overrides or ()), AgentSpec("none"), seed=seed, slots=slots)
    network, drawn = spec.stream()
    if capacities is not None:
        write_text(capacities, capacities_csv(network, drawn))
    if output is None:
        sys.stdout.write(requests_csv(network, drawn))
    else:
        write_text(output, requests_csv(network, drawn))


@app.command()
def replay(
    scenario: ScenarioName,
    file: Annotated[Path, typer.Argument(help="public trace: CSV with timestamps or counts; twin is a packaged one")],
    overrides: Overrides = None,
    seed: Annotated[int, typer.Option(min=0, help="seed of the draw that spreads the counts")] = 0,
    rate: Annotated[float | None, typer.Option(help="requests/s to scale the counts to; default: as they are")] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="slots; default: all of the file's")] = None,
    output: Annotated[Path | None, typer.Option(help="request file to write; default: stdout")] = None,
) -> None:
    """Turn a public trace into a trace file: requests go to tasks and entry nodes by the scenario's popularity."""
    from idn_gym.common.files import write_text
    from idn_gym.library.load import load_scenario
    from idn_gym.model.network import Network
    from idn_gym.replay import replay as replay_counts
    from idn_gym.workload.trace import requests_csv

    network = Network.compile(load_scenario(scenario, overrides or ()))
    stream = replay_counts(network, file, seed, rate)
    text = requests_csv(network, stream.head(slots) if slots else stream)
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text)


@app.command()
def evaluate(
    scenario: ScenarioName,
    allocation: Annotated[Path, typer.Option(help="allocation file, integral or fractional")],
    requests: Annotated[Path, typer.Option(help="request file")],
    capacities: Annotated[Path | None, typer.Option(help="capacity file; default: nominal")] = None,
    subgradient: Annotated[bool, typer.Option("--subgradient", help="the subgradient of every slot too")] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Serve a trace with one allocation."""
    from idn_gym.experiment import evaluation
    from idn_gym.library.load import load_scenario
    from idn_gym.model.allocation_file import read_allocation
    from idn_gym.model.network import Network
    from idn_gym.report import tables
    from idn_gym.workload.trace import read_trace

    network = Network.compile(load_scenario(scenario, overrides or ()))
    stream = read_trace(network, requests, capacities)
    document = evaluation.evaluate(network, stream, read_allocation(network, allocation), subgradient=subgradient)
    if as_json:
        print_json(document)
        return
    tables.console().print(tables.evaluation(document))


@app.command()
def run(
    scenario: ScenarioName,
    agent: Annotated[list[str], typer.Option(metavar="AGENT", help="name or name:key=value,key=value; repeatable")],
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
    from idn_gym.experiment.experiment import AgentSpec, RunSpec, bound_shares
    from idn_gym.experiment.records import run as run_specs
    from idn_gym.library.load import load_scenario
    from idn_gym.report import tables
    from idn_gym.report.progress import PlayProgress

    if resume and output is None:
        raise IdnError(_NOTHING_TO_RESUME)
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
    console = tables.console()
    console.print(tables.results(results, title))
    if output is not None:
        console.print(f"records and plots in {printable(output)}", soft_wrap=True)


@app.command()
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
    from idn_gym.report.progress import StreamProgress

    most = MOST_RUNS if max_runs is None else max_runs
    streams = read_sweep(grid, most, lambda line: print(f"idn-gym: {line}", file=sys.stderr, flush=True))
    with kept_or_temporary(output, resume) as folder, StreamProgress() as progress:
        rows = sweeps.run(
            streams,
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
    console = tables.console()
    console.print(tables.sweep(rows, f"{printable(grid.name)}: {len(streams)} streams, {len(rows)} runs"))
    if output is not None:
        console.print(f"records and table.csv in {printable(output)}", soft_wrap=True)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    stdout.write(json.dumps(document, allow_nan=False) + "\n")


_OWN = frozenset(info.name or info.callback.__name__ for info in app.registered_commands if info.callback)


def main() -> None:
    """Entry point: bad input is one line on stderr and exit status 2, no traceback."""
    with terminal.printable_streams():
        try:
            with terminal.interruptible():
                _add_commands()
                try:
                    app()
                finally:
                    sys.stdout.flush()
        except BaseException as error:
            _end(error)


def _end(error: BaseException) -> NoReturn:
    """Exit with what became of the command; what nobody has thought of is passed on."""
    try:
        sys.stdout.flush()
    except OSError:
        terminal.discard(sys.stdout)
    if terminal.interrupted(error):
        terminal.fail(startup.how_to_go_on(sys.argv[1:]), startup.INTERRUPTED)
    match error:
        case IdnError():
            terminal.fail(error, 2)
        case BrokenPipeError() | terminal.Unread():
            sys.exit(0)  # whoever read it has enough
        case OSError():
            terminal.fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)
        case MemoryError():
            terminal.fail(f"not enough memory: {error}".removesuffix(": "), 1)
    raise error


def _add_commands() -> None:
    """Add the commands of other packages; one that is at fault is named, and takes nothing along."""
    with stdout.only_documents():  # what a package prints when it is imported goes elsewhere
        plugins.commands(_OWN, _add, terminal.complain)


def _add(name: str, command: Any) -> None:
    alone = _Typer()
    alone.command(name)(command)
    typer.main.get_command(alone)  # raises where its signature is none of a command, which later costs all of them
    app.command(name)(command)


@contextmanager
def _passed_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise terminal.Interrupted from error
    except BrokenPipeError as error:
        raise terminal.Unread from error
    except _Refusal as error:
        if isinstance(error.__cause__, ValidationError):  # typer's newer versions leave the checking to pydantic
            fault = error.__cause__.errors(include_url=False)[0]
            given = "" if fault["type"] == "value_error" else f"{shown(fault['input'])}; "
            error.message = given + phrase(fault)
        if len(sys.argv) > 1:  # else it is the help
            text = line(error.format_message())
            error.format_message = lambda: text
        raise


def _sizes(network: Any) -> dict[str, int]:
    return {axis: getattr(network, axis) for axis in ("V", "M", "P", "R", "K")}


def _plots() -> Any:
    from idn_gym.report.run_plots import plot_run

    return plot_run


@contextmanager
def kept_or_temporary(output: Path | None, resume: bool) -> Iterator[Path]:
    """The folder for records: the one asked for, or one that is deleted afterwards."""
    if output is not None:
        yield output
        return
    if resume:
        raise IdnError(_NOTHING_TO_RESUME)
    with TemporaryDirectory(prefix="idn-gym-") as folder:
        yield Path(folder)


def cores(address: str | None = None) -> int | None:
    """Workers where nobody says how many: a process per core, or what a Ray cluster has room for."""
    if address is not None and address != "local":
        return None
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def typed_command() -> list[str]:
    """What was typed, without what results do not depend on: the same for a run and its resumption."""
    kept, skip = [], False
    for word in sys.argv[1:]:
        if skip:
            skip = False
        elif word in _ASIDE:
            skip = True
        elif word != "--resume" and word.partition("=")[0] not in _ASIDE:
            kept.append(word)
    return ["idn-gym", *kept]


if __name__ == "__main__":
    main()
