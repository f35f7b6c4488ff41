"""The command ``idn-gym reproduce``; found through the entry-point group ``idn_gym.commands``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from idn_gym.cli.options import Address, AsJson, Workers, cores, kept_or_temporary, print_json, typed_command
from idn_gym.cli.terminal import complain
from idn_gym.common.extras import require
from idn_gym.errors import IdnError
from idn_gym.experiment.folders import locked
from idn_gym.reproduce import figures as figure_names


class Budgets(StrEnum):
    """How much is run."""

    SMOKE = "smoke"
    FULL = "full"


def reproduce(
    figures: Annotated[list[str], typer.Argument(metavar="FIGURE...", help=f"{', '.join(figure_names())}, or all")],
    budget: Annotated[
        Budgets, typer.Option(help="smoke: minutes, too short to trust; full: as documented")
    ] = Budgets.FULL,
    check: Annotated[
        bool, typer.Option("--check", help="exit with status 1 if a claim that is documented to hold does not")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="folder for the records, checks and pictures")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with what is in --output")] = False,
    report: Annotated[Path | None, typer.Option(help="Markdown page to write, pictures and tables beside it")] = None,
    workers: Workers = None,
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Reproduce the paper's figures, and decide its claims."""
    from idn_gym.report import tables
    from idn_gym.report.console import console
    from idn_gym.report.progress import SweepProgress
    from idn_gym.reproduce.report import write_report
    from idn_gym.reproduce.reproduction import reproduce as reproduce_figure

    names = figure_names() if figures == ["all"] else figures
    for name in names:
        if name not in figure_names() or names.count(name) > 1:
            raise IdnError(f"figure {name!r}; allowed: {', '.join(figure_names())}, each once, or all alone")
    found = []
    pictures = output is not None or report is not None
    if pictures:
        require("plots", "pictures")  # before a folder is made
    used = workers or cores(address)
    with kept_or_temporary(output, resume) as folder, locked(folder):
        for name in names:
            with SweepProgress() as progress:
                found.append(
                    reproduce_figure(
                        name,
                        budget.value,
                        folder,
                        workers=used,
                        resume=resume,
                        address=address,
                        command=typed_command(),
                        progress=progress,
                        pictures=pictures,
                    )
                )
        if report is not None:
            write_report(report, found, folder, budget.value, used)
    if as_json:
        print_json({"budget": budget.value, "figures": [one.document() for one in found]})
    else:
        screen = console()
        for one in found:
            screen.print(tables.checks(one.document()))
    broken = [item for one in found for item in one.checks if item.broken]
    if check and broken:
        for item in broken:
            complain(f"documented to hold, and does not: {item.claim}: {item.verdict.evidence}")
        raise typer.Exit(1)
