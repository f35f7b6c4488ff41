"""Tables of pages are those of the stored results, and the check says which is not, and how."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = """Text before.

<!-- table: certified.py certified.json certified -->
<!-- end -->

Text behind.
"""


def loaded() -> Any:
    """docs/tables.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("docs_tables", ROOT / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = loaded()


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


def test_every_result_that_pages_may_show_says_when_and_by_what_it_was_made() -> None:
    for path in sorted((ROOT / tables.RESULTS).iterdir()):
        document = tables.stored(path.name)
        for part in [document] if "date" in document else document.values():
            assert {"command", "date"} <= set(part), path.name
            assert {"commit", "stored_with"} & set(part), path.name
