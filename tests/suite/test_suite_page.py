"""What ``idn-gym report`` shows of a suite: its ranking, and all of its sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_records import swept

from idn_gym.suite import page

SUITE = ("idn-gym", "suite", "--cases", "1")


def test_a_suite_is_ranked(tmp_path: Path) -> None:
    """Before its sweep, of which workload and shape are no axes: they go with the case."""
    folder = swept(tmp_path / "suite", SUITE, workload="fixed", shape="tree")
    part = page.part(folder)
    assert part is not None
    ranked, behind = (table.plain() for table in part.tables)
    assert ranked.title == "Suite of 1 cases, 5 slots"
    assert sorted(row[0] for row in ranked.rows) == ["infida", "random"]
    assert ranked.rows[0][ranked.headers.index("behind")] == "0.00%", "the best one stands first"
    assert behind.title == "behind the best causal agent, by workload"
    assert behind.headers == ["agent", "fixed"]
    assert part.views is not None
    assert [axis["key"] for axis in part.views["axes"]] == ["accuracy_weight"]
    assert [table.plain().headers[-1] for table in part.more] == ["updates MB/slot"], "the sweep's table is folded"


@pytest.mark.parametrize("text", [None, '{"format": "idn-gym/sweep-1", "command": ["idn-gym", "sweep", "grid.yaml"]}'])
def test_other_folders_are_left_alone(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "sweep.json").write_text(text)
    assert page.part(tmp_path) is None
