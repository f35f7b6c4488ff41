"""One page from record folders: ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idn_gym.cli.options import AsJson, print_json
from idn_gym.common.text import printable


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="of run, sweep, suite, reproduce or system run; compared")
    ],
    output: Annotated[Path | None, typer.Option(help="HTML file; default: report.html in the first folder")] = None,
    as_json: AsJson = False,
) -> None:
    """One page to look at, from record folders. Tables that sort, plots that zoom, the network slot by slot."""
    from idn_gym.report.page.html import write_page

    written = write_page(folders, output)
    if as_json:
        print_json({"page": str(written), "bytes": written.stat().st_size})
    else:
        print(f"{printable(written)}: {written.stat().st_size / 1e6:,.1f} MB, most of it Plotly's code")
