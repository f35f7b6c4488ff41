"""One request stream: ``trace`` draws it, ``replay`` takes it from a public trace, ``evaluate`` serves it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from idn_gym.cli.options import AsJson, ByService, Overrides, ScenarioName, Seed, Slots, print_json
from idn_gym.errors import IdnError


def trace(
    scenario: ScenarioName,
    overrides: Overrides = None,
    slots: Slots = None,
    seed: Seed = 0,
    output: Annotated[Path | None, typer.Option(help="request file to write; default: stdout")] = None,
    capacities: Annotated[Path | None, typer.Option(help="capacity file to write as well")] = None,
) -> None:
    """Write the request stream of a seed as a trace file."""
    from idn_gym.common.files import write_pieces
    from idn_gym.experiment.spec import AgentSpec, RunSpec
    from idn_gym.library.load import load_scenario
    from idn_gym.workload.trace_file import capacities_csv, requests_csv

    spec = RunSpec(load_scenario(scenario, overrides or ()), AgentSpec("none"), seed=seed, slots=slots)
    network, drawn = spec.stream()
    if capacities is not None:
        write_pieces(capacities, capacities_csv(network, drawn))
    if output is None:
        sys.stdout.write("".join(requests_csv(network, drawn)))
    else:
        write_pieces(output, requests_csv(network, drawn))


def replay(
    scenario: ScenarioName,
    file: Annotated[Path, typer.Argument(help="public trace: CSV with timestamps or counts; twin is a packaged one")],
    overrides: Overrides = None,
    seed: Annotated[int, typer.Option(min=0, help="seed of the draw that spreads the counts")] = 0,
    rate: Annotated[float | None, typer.Option(help="requests/s to scale the counts to; default: as they are")] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="slots; default: all of the file's")] = None,
    output: Annotated[Path | None, typer.Option(help="request file to write; default: stdout")] = None,
) -> None:
    """Turn a public trace into a trace file. Requests go to tasks and entry nodes by the scenario's popularity."""
    from idn_gym.common.files import write_pieces
    from idn_gym.library.load import load_scenario
    from idn_gym.model.network import Network
    from idn_gym.replay import replay as replay_counts
    from idn_gym.workload.trace_file import requests_csv

    network = Network.compile(load_scenario(scenario, overrides or ()))
    stream = replay_counts(network, file, seed, rate)
    pieces = requests_csv(network, stream.head(slots) if slots else stream)
    if output is None:
        sys.stdout.write("".join(pieces))
    else:
        write_pieces(output, pieces)


def evaluate(
    scenario: ScenarioName,
    allocation: Annotated[Path, typer.Option(help="allocation file, or the allocations.csv of a run")],
    requests: Annotated[Path, typer.Option(help="request file")],
    capacities: Annotated[Path | None, typer.Option(help="capacity file; default: nominal")] = None,
    slot: Annotated[int | None, typer.Option(min=0, help="of an allocations.csv; default: the last")] = None,
    subgradient: Annotated[bool, typer.Option("--subgradient", help="the subgradient of every slot too")] = False,
    by: ByService = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Serve a trace with one allocation."""
    from idn_gym.experiment import evaluation
    from idn_gym.experiment.record_tables import read_placed
    from idn_gym.library.load import load_scenario
    from idn_gym.model.allocation_file import read_allocation
    from idn_gym.model.network import Network
    from idn_gym.report import tables
    from idn_gym.report.console import console
    from idn_gym.scenario.kinds import PLACED, kind_of
    from idn_gym.workload.trace_file import read_trace

    network = Network.compile(load_scenario(scenario, overrides or ()))
    stream = read_trace(network, requests, capacities)
    recorded = kind_of(allocation) is PLACED
    if slot is not None and not recorded:
        raise IdnError(f"--slot: goes with the allocations.csv of a run, which {allocation} is not")
    placed = read_placed(network, allocation, slot) if recorded else read_allocation(network, allocation)
    document = evaluation.evaluate(network, stream, placed, subgradient=subgradient)
    if by is not None:
        document["services"] = evaluation.by_service(network, stream, [placed] * stream.slots)
    if as_json:
        print_json(document)
        return
    console().print(tables.evaluation(document))
    if by is not None:
        console().print(tables.services(document["services"], "all slots"))
