"""Tables of pages, from stored results: `python docs/tables.py` includes them, `--check` says which have drifted.

A page asks for a table by a comment, and has it between that and the next:

    <!-- table: systems.py systems.json variants-cores -->
    <!-- end -->

is what `tables` of `benchmarks/systems.py` makes of `benchmarks/results/systems.json` under that name, as the study
prints it, and a line that says what made it.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STUDIES = str(ROOT / "benchmarks")  # in no package
TABLE = re.compile(
    r"(?P<marker><!-- table: (?P<study>\w+)\.py (?P<results>\w+\.json) (?P<name>[^\n]+?) -->\n)"
    r"(?P<body>.*?)(?P<end><!-- end -->)",
    re.DOTALL,
)


def study_of(name: str) -> Any:
    """A script of benchmarks; whoever loads this module may put the path back as it was, as the site does."""
    if STUDIES not in sys.path:
        sys.path.append(STUDIES)
    return importlib.import_module(name)


stored = study_of("stored")


def pages() -> list[Path]:
    """Every page that may ask for a table."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def included(text: str) -> str:
    """A page with its tables as they are stored."""
    return TABLE.sub(lambda match: f"{match['marker']}\n{wanted(match)}\n\n{match['end']}", text)


def wanted(match: re.Match[str]) -> str:
    """What a marker asks for.

    Raises
    ------
    LookupError
        If the study has no table of that name.
    """
    found, parts = tables(match["study"], match["results"]), stored.stamped(results(match["results"]))
    name = match["name"]
    if name not in found:
        raise LookupError(f"{match['study']}.py: no table {name!r} of {match['results']}; it has {', '.join(found)}")
    part = parts.get(name.partition(":")[0])
    return f"{found[name]}\n\n{made(match['results'], [part] if part else list(parts.values()))}"


def made(name: str, parts: Sequence[dict[str, Any]]) -> str:
    """The line below a table: the file, and of all that it shows the day, the commit and the commands."""
    commands: dict[str, dict[str, None]] = {}
    for part in parts:
        for run in (part, *part.get("also", ())):
            at = f"at commit {run['commit']}" if "commit" in run else f"stored with commit {run['stored_with']}"
            commands.setdefault(f"{run['date']}, {at}", {})[f"`{run['command']}`"] = None
    runs = [f"{when}: {', '.join(each)}" for when, each in commands.items()]
    return f"*{name}, {'; '.join(runs)}.*"


@cache
def results(name: str) -> dict[str, Any]:
    """A results file."""
    document: dict[str, Any] = stored.read(stored.RESULTS / name)
    return document


@cache
def tables(study: str, name: str) -> dict[str, str]:
    """All tables that a study makes of a results file."""
    found: dict[str, str] = study_of(study).tables(results(name))
    return found


def drifted(page: str, text: str) -> Iterator[str]:
    """The tables of a page that are not what is stored, each with the lines that differ."""
    matches = list(TABLE.finditer(text))
    if len(matches) != text.count("<!-- table:"):
        yield f"{page}: a marker that is not `<!-- table: STUDY.py RESULTS.json NAME -->`, or has no `<!-- end -->`"
    for match in matches:
        was, now = match["body"].strip().splitlines(), wanted(match).splitlines()
        if was != now:
            lines = [line for line in difflib.ndiff(was, now) if line[0] in "-+"]
            about = f"{page}: {match['name']} of {match['results']} is not as stored; python docs/tables.py writes it"
            yield "\n".join([about, *lines])


def main() -> None:
    """Write, or compare and say what differs with exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; say which tables have drifted, and how")
    if parser.parse_args().check:
        faults = [fault for page in pages() for fault in drifted(str(page.relative_to(ROOT)), page.read_text("utf-8"))]
        print("\n\n".join(faults) or "every table is as stored")
        raise SystemExit(bool(faults))
    for page in pages():
        before = page.read_text("utf-8")
        after = included(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
