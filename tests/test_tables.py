"""Tables of pages are those of the stored results, and the check says which is not, and how."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import stored
import tables

ROOT = Path(__file__).resolve().parents[1]
MIXED = {"learners.json", "zero_shot.json"}  # older than the rule; a rerun takes them off
PAGE = """Text before.

<!-- table: certified.py certified.json certified -->
<!-- end -->

Text behind.
"""


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_included_table_is_as_stored(page: Path) -> None:
    assert list(tables.drifted(page.name, page.read_text("utf-8"))) == []


def test_a_figure_that_was_changed_by_hand_is_told_with_its_page_and_both_lines() -> None:
    written = tables.included(PAGE)
    assert written.startswith("Text before.")
    assert written.endswith("Text behind.\n")
    assert tables.included(written) == written
    changed = written.replace("| tiny | 1 | 1 | 0.000% |", "| tiny | 1 | 1 | 9.999% |")
    assert changed != written
    [fault] = tables.drifted("page.md", changed)
    assert fault.startswith("page.md: certified of certified.json")
    assert "- | tiny | 1 | 1 | 9.999% |" in fault
    assert "+ | tiny | 1 | 1 | 0.000% |" in fault


def test_a_marker_that_asks_for_nothing_there_is_not_passed_over() -> None:
    with pytest.raises(LookupError, match=r"no table 'certifed' of certified\.json; it has certified"):
        tables.included(PAGE.replace("json certified", "json certifed"))
    [fault] = tables.drifted("page.md", PAGE.replace("certified.json", "certified"))
    assert "a marker that is not" in fault


def test_studies_are_found_though_the_path_is_put_back_as_the_site_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != tables.STUDIES])
    monkeypatch.delitem(sys.modules, "regimes", raising=False)
    assert tables.study_of("regimes").tables


def test_every_document_or_part_is_finished_and_of_one_commit_by_one_command() -> None:
    mixed = set()
    for path in sorted(stored.RESULTS.iterdir()):
        for part in stored.stamped(tables.results(path.name)).values():
            assert isinstance(part["command"], str), path.name
            assert part["date"], path.name
            assert stored.clean(part.get("commit") or part["stored_with"]), path.name
            assert "unfinished" not in part, path.name
            assert not any("commit" in row for row in part.get("rows", ())), path.name
            mixed |= {path.name} if "also" in part else set()
    assert mixed == MIXED


def test_the_line_below_a_table_names_every_commit_of_what_it_shows() -> None:
    run = {"command": "python a.py x", "commit": "1", "date": "2026-11-26"}
    other = {**run, "command": "python a.py y"}
    older = {"command": "python a.py z", "stored_with": "0", "date": "2026-11-22"}
    assert tables.made("a.json", [run, other, {**run, "also": [older]}]) == (
        "*a.json, 2026-11-26, at commit 1: `python a.py x`, `python a.py y`; "
        "2026-11-22, stored with commit 0: `python a.py z`.*"
    )
