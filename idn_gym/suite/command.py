"""The command ``idn-gym suite``; found through the entry-point group ``idn_gym.commands``."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from idn_gym.cli.options import (
    Address,
    AsJson,
    Workers,
    cores,
    kept_or_temporary,
    print_json,
    seeds_in,
    typed_command,
)
from idn_gym.common.extras import require
from idn_gym.common.text import printable
from idn_gym.errors import IdnError
from idn_gym.library.cases import HELD_OUT, SPLITS
from idn_gym.suite import AGENTS, BOUND

if TYPE_CHECKING:
    from idn_gym.library.cases import Case

_AGENT_HELP = "name, FILE.py:Class or package.module:Class, and :key=value,... behind it; default: the packaged ones"
_KEPT = ("scenario", "workload", "shape", "seed", "agent", "gain", "of_bound", "ntag", "model_update_mb", "seconds")
_MOST_CASES = 10_000  # days of work, and records by the ten thousand


class Split(StrEnum):
    """Which half of the numbers; `idn_gym.library.cases.SPLITS`."""

    TRAINING, HELD_OUT = SPLITS


def suite(
    agent: Annotated[list[str] | None, typer.Option(metavar="AGENT", help=_AGENT_HELP)] = None,
    split: Annotated[
        Split, typer.Option(help="held-out: to compare agents; training: to choose their settings")
    ] = Split.HELD_OUT,
    cases: Annotated[
        int, typer.Option(min=1, max=_MOST_CASES, help="how many of the split, from its first on")
    ] = HELD_OUT,
    slots: Annotated[int | None, typer.Option(min=1, help="slots; default: 240")] = None,
    seeds: Annotated[
        str, typer.Option(metavar="A:B", help="of the streams of each case, B excluded, e.g. 0:3; averaged")
    ] = "0:1",
    only_list: Annotated[bool, typer.Option("--list", help="say what the cases are, and play nothing")] = False,
    write: Annotated[Path | None, typer.Option(help="folder to write scenario files to; plays nothing")] = None,
    workers: Workers = None,
    address: Address = None,
    output: Annotated[Path | None, typer.Option(help="folder for the records, table.csv and suite.png")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with what is in --output")] = False,
    as_json: AsJson = False,
) -> None:
    """Rank agents over many drawn networks. Who is best, by how much, and on what workloads."""
    from idn_gym.library.cases import cases as drawn

    chosen = drawn(split.value, cases)
    if only_list or write is not None:
        played = {"--agent": agent, "--output": output, "--resume": resume}
        if given := [option for option, value in played.items() if value]:
            raise IdnError(f"{given[0]}: goes not with {'--list' if only_list else '--write'}, which plays nothing")
        _show_cases(chosen, split.value, write, as_json)
        return
    _compare(chosen, agent or AGENTS, seeds_in(seeds), slots, workers, address, output, resume, as_json)


def _show_cases(chosen: Sequence[Case], split: str, folder: Path | None, as_json: bool) -> None:
    """Write the cases, or list them."""
    from idn_gym.common.files import write_text
    from idn_gym.experiment.folders import refuse_file
    from idn_gym.model.network import Network
    from idn_gym.report.console import console
    from idn_gym.report.tables import sizes
    from idn_gym.scenario.file import to_yaml
    from idn_gym.suite import tables

    if folder is not None:
        refuse_file(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for case in chosen:
            write_text(folder / f"{case.name}.yaml", to_yaml(case.scenario))
    if as_json:
        rows = [
            {
                "name": case.name,
                "workload": case.kind,
                "shape": case.shape,
                "accuracy_weight": case.scenario.accuracy_weight,
                **sizes(Network.compile(case.scenario)),
            }
            for case in chosen
        ]
        print_json({"split": split, "cases": rows})
    elif folder is None:
        console().print(tables.cases(chosen, f"{split} split: {len(chosen)} cases"))
    else:
        console().print(f"{len(chosen)} scenario files in {printable(folder)}", soft_wrap=True)


def _compare(
    chosen: Sequence[Case],
    agents: Sequence[str],
    seeds: Sequence[int],
    slots: int | None,
    workers: int | None,
    address: str | None,
    output: Path | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Play all agents on all cases, a sweep, and rank them."""
    from idn_gym.experiment import sweep
    from idn_gym.experiment.record_files import read_row
    from idn_gym.experiment.spec import AgentSpec, RunSpec
    from idn_gym.report.console import console
    from idn_gym.report.progress import SweepProgress
    from idn_gym.suite import tables
    from idn_gym.suite.picture import draw
    from idn_gym.suite.ranking import by_kind, standings

    if output is not None:
        require("plots", "pictures")  # before a folder is made
    specs = [AgentSpec.parse(text) for text in agents]
    bound = AgentSpec.parse(BOUND)
    if all(spec.name != bound.name for spec in specs):
        specs.append(bound)
    cells = [
        sweep.Cell(
            {"scenario": case.name, "workload": case.kind, "shape": case.shape, "seed": seed},
            tuple(RunSpec(case.scenario, spec, seed=seed, slots=slots) for spec in specs),
        )
        for case in chosen
        for seed in seeds
    ]
    with kept_or_temporary(output, resume) as folder, SweepProgress() as progress:
        rows = sweep.run(
            cells,
            folder,
            workers=workers or cores(address),
            resume=resume,
            address=address,
            command=typed_command(),
            progress=progress,
        )
        first = [read_row(folder / cells[0].folder / spec.agent.folder, spec.agent) for spec in cells[0].runs]
        hindsight = [row["agent"] for row in first if row["hindsight"]]
        document: dict[str, Any] = {
            "split": chosen[0].split,
            "cases": len(chosen),
            "slots": rows[0]["slots"],
            "seeds": list(seeds),
            "agents": standings(rows, hindsight),
            "kinds": by_kind(rows, hindsight),
            "runs": [{key: row[key] for key in _KEPT if key in row} for row in rows],
        }
        if output is not None:
            draw(document, folder / "suite.png")
    if as_json:
        print_json(document)
        return
    title = f"{chosen[0].split} split, {len(chosen)} cases, {rows[0]['slots']} slots"
    screen = console()
    screen.print(tables.ranked(document, title + (f", {len(seeds)} seeds" if len(seeds) > 1 else "")))
    for key, about in (("behind", "behind the best causal agent"), ("of_bound", "share of the bound")):
        screen.print()
        screen.print(tables.of_kinds(document, key, f"{about}, by workload"))
    if output is not None:
        screen.print(f"records, table.csv and suite.png in {printable(output)}", soft_wrap=True)
