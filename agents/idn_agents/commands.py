"""Commands that the agents bring to ``idn-gym``; found through the entry-point group ``idn_gym.commands``."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from idn_gym.cli.options import (
    AsJson,
    CapacityFile,
    Overrides,
    ScenarioName,
    Seed,
    Slots,
    TraceFile,
    Verbose,
    print_json,
)
from idn_gym.cli.terminal import complain
from idn_gym.common import parameters
from idn_gym.common.parameters import as_options
from idn_gym.common.startup import INTERRUPTED
from idn_gym.common.text import printable
from idn_gym.errors import IdnError


def optimum(
    scenario: ScenarioName,
    trace: TraceFile = None,
    capacities: CapacityFile = None,
    slots: Slots = None,
    seed: Seed = 0,
    gap: Annotated[float, typer.Option(help="stop within this relative gap, 0 to 1")] = 0.001,
    time_limit: Annotated[float | None, typer.Option(help="seconds; there is always an allocation")] = None,
    certificate: Annotated[Path | None, typer.Option(help="file to write that idn-gym verify checks")] = None,
    leaves: Annotated[
        int | None, typer.Option(help="of a tree of the certificate, at most; 1 by default on large networks")
    ] = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Best static allocation in hindsight, with a proven bound."""
    from idn_agents.optimum.certificate_file import refuse_long, write_certificate
    from idn_agents.optimum.options import refuse_options
    from idn_agents.optimum.relaxation.highs import require_solver
    from idn_agents.optimum.search import log_step, solve
    from idn_gym.experiment.spec import AgentSpec, RunSpec
    from idn_gym.library.load import load_scenario
    from idn_gym.model.allocation_file import named
    from idn_gym.report.console import console
    from idn_gym.report.progress import SearchProgress
    from idn_gym.scenario.workloads import Replay

    if certificate is not None and not certificate.parent.is_dir():
        raise IdnError(f"{certificate}: no folder {certificate.parent} to write it to")
    require_solver("optimum")
    with as_options("gap", "time_limit", "leaves", "seed"):
        refuse_options(gap, time_limit, leaves)
        parameters.seed(seed)
    resolved = load_scenario(scenario, overrides or ())
    spec = RunSpec(resolved, AgentSpec("optimum"), seed=seed, slots=slots, trace=trace, capacities=capacities)
    network, stream = spec.stream()
    if certificate is not None and trace is None and not isinstance(spec.scenario.workload, Replay):
        refuse_long(network, stream.slots)

    with SearchProgress(verbose):
        solution = solve(network, stream, gap=gap, time_limit=time_limit, progress=log_step, leaves=leaves)
    if certificate is not None:
        write_certificate(certificate, spec, network, stream, solution.allocation, solution.certificate)
    allocation = named(network, solution.allocation)
    if as_json:
        print_json({**solution.info(), "allocation": allocation})
    else:
        out = console()
        out.print(f"{network.scenario.name}, {stream.slots} slots: {solution.status} in {solution.seconds:.1f} s")
        out.print(f"gain            {solution.gain:.9g} ms")
        if solution.net is not None:
            out.print(f"net gain        {solution.net:.9g} ms, which the bounds are about")
        out.print(f"bound           {solution.bound:.9g} ms (gap {solution.gap:.4%})")
        out.print(f"certified bound {solution.certified_bound:.9g} ms, recomputable without a solver")
        out.print(f"fractional      {solution.fractional_gain:.9g} ms, at most {solution.fractional_bound:.9g} ms")
        _print_allocation(out, allocation)
    if solution.status == "interrupted":
        complain("interrupted; this is the best that was found until then, and its bounds hold")
        raise typer.Exit(INTERRUPTED)


def saa(
    scenario: ScenarioName,
    slots: Slots = None,
    streams: Annotated[int, typer.Option(help="streams per sample")] = 4,
    replications: Annotated[int, typer.Option(help="samples, 2 at least, that the gap is estimated from")] = 10,
    seed: Seed = 0,
    gap: Annotated[float, typer.Option(help="stop each search within this relative gap, 0 to 1")] = 0.005,
    time_limit: Annotated[float | None, typer.Option(help="seconds for all searches together")] = None,
    confidence: Annotated[float, typer.Option(help="of each interval, 0.5 to 0.999999")] = 0.95,
    overrides: Overrides = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Best static allocation over a distribution of streams. With an interval on how far from optimal it is."""
    from idn_agents.optimum.relaxation.highs import require_solver
    from idn_agents.optimum.saa import estimate
    from idn_gym.library.load import load_scenario
    from idn_gym.model.allocation_file import named
    from idn_gym.model.network import Network
    from idn_gym.report.console import console
    from idn_gym.report.progress import SearchProgress

    require_solver("saa")
    network = Network.compile(load_scenario(scenario, overrides or ()))

    slots = network.scenario.horizon if slots is None else slots
    options = ("slots", "streams", "replications", "seed", "gap", "time_limit", "confidence")
    with as_options(*options), SearchProgress(verbose) as progress:
        found = estimate(
            network,
            slots,
            streams=streams,
            replications=replications,
            seed=seed,
            gap=gap,
            time_limit=time_limit,
            confidence=confidence,
            progress=lambda done, of, share: progress(f"replication {done} of {of}: gap {share:.3%}"),
        )
    allocation = named(network, found.allocation)
    if as_json:
        figures = {key: value for key, value in asdict(found).items() if key != "allocation"}
        print_json({**figures, "relative_limit": found.relative_limit, "allocation": allocation})
        return
    out, gained = console(), found.expected_gain
    out.print(f"{network.scenario.name}, streams of {slots} slots: {replications} samples of {streams} streams")
    out.print(
        f"expected gain   {gained.mean:.6g} ms per stream, {confidence:.0%} in [{gained.low:.6g}, {gained.high:.6g}]"
    )
    out.print(f"expected bound  {found.expected_bound:.6g} ms, from certified bounds")
    out.print(
        f"gap             {found.gap:.6g} ms, below {found.gap_limit:.6g} ms ({found.relative_limit:.3%}) "
        f"with confidence {confidence:.0%}"
    )
    _print_allocation(out, allocation)


def verify(
    file: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="what idn-gym optimum --certificate wrote")],
    scenario: Annotated[str | None, typer.Option(help="in place of the scenario that the file holds")] = None,
    trace: TraceFile = None,
    capacities: CapacityFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Check the claims of a certificate without a solver. Exit status 1 if one of them is not proven."""
    from idn_agents.optimum.certificate import relative_gap
    from idn_agents.optimum.certificate_file import read_certificate
    from idn_agents.optimum.certificate_file import verify as verdict_on
    from idn_gym.library.load import load_scenario
    from idn_gym.report.console import console

    if overrides and scenario is None:
        raise IdnError("--set: needs --scenario; the file's own scenario is as it is")
    began = time.perf_counter()
    content = read_certificate(file)
    given = load_scenario(scenario, overrides or ()) if scenario else None
    try:
        spec = content.spec(given, trace, capacities)
    except IdnError as error:
        raise IdnError(f"{file}: {error}") from None
    network, stream = spec.stream()
    try:
        verdict = verdict_on(network, stream, content)
    except IdnError as error:
        raise IdnError(f"{file}: {error}") from None
    claimed, bound = content.gain, content.certified_bound
    gap = relative_gap(content.reached, bound)  # of claims that do not hold it may be anything
    about = f"{network.scenario.name}, {stream.slots} slots of {printable(trace or f'seed {content.seed}')}"
    if as_json:
        print_json(
            {
                "ok": not verdict.faults,
                "scenario": network.scenario.name,
                "slots": stream.slots,
                "seed": content.seed,
                "gain": claimed,
                **({} if content.net is None else {"net": content.net}),
                "certified_bound": bound,
                "gap": gap if math.isfinite(gap) else None,
                "proven": {
                    "gain": verdict.gain,
                    **({} if verdict.net is None else {"net": verdict.net}),
                    "certified_bound": verdict.certified_bound,
                },
                "faults": verdict.faults,
                "seconds": time.perf_counter() - began,
            }
        )
    elif not verdict.faults:
        out = console()
        out.print(f"{printable(file)}: proven for {about}", soft_wrap=True)
        out.print(f"gain            {claimed:.9g} ms, at least")
        if content.net is not None:
            out.print(f"net gain        {content.net:.9g} ms, at least")
        out.print(f"certified bound {bound:.9g} ms (gap {gap:.4%})")
    for fault in verdict.faults:
        complain(f"{file}: {fault}")
    if verdict.faults:
        raise typer.Exit(1)


def _print_allocation(out: Any, allocation: Mapping[str, Sequence[str]]) -> None:
    from idn_gym.report.layout import Listing, names

    for node, models in allocation.items():
        out.print(Listing([f"{node}: ", *names(models)]))
