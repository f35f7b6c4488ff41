"""Tables and lists in terminals of any width: what is laid out by hand, and that nothing is ever split."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from idn_gym.common.text import printable
from idn_gym.report.console import Screen
from idn_gym.report.layout import Cell, Column, Listing, Table, agent, beginning, names, words

WIDTHS = (40, 80, 100, 120)
ROWS = [
    ("infida:refresh=8,learning_rate=theory", "1,234.500", "99.66%", "3.25"),
    ("random", "0.000", "0.00%", "0.01"),
]
COLUMNS = [
    Column[tuple[str, ...]]("agent", lambda row: agent(row[0]), left=True),
    Column("NTAG ms", lambda row: row[1]),
    Column("gain of bound", lambda row: row[2], rank=1),
    Column("seconds", lambda row: row[3], rank=2),
]


def printed(renderable: object, width: int, endless: bool = False) -> list[str]:
    """The lines that a terminal so wide shows."""
    out = io.StringIO()
    Screen(width=width, file=out, force_terminal=True, color_system=None, endless=endless).print(renderable)
    return out.getvalue().splitlines()


class TestByHand:
    def test_room_for_all(self) -> None:
        assert printed(Table("title", COLUMNS, ROWS), 80) == [
            "title",
            "agent                                    NTAG ms  gain of bound  seconds",
            "─" * 72,
            "infida:refresh=8,learning_rate=theory  1,234.500         99.66%     3.25",
            "random                                     0.000          0.00%     0.01",
        ]

    def test_names_run_over_lines_first(self) -> None:
        assert printed(Table("title", COLUMNS, ROWS), 54) == [
            "title",
            "                                      gain of",
            "agent                        NTAG ms    bound  seconds",
            "─" * 54,
            "infida:refresh=8,          1,234.500   99.66%     3.25",
            "learning_rate=theory",
            "random                         0.000    0.00%     0.01",
        ]

    def test_then_the_name_is_above(self) -> None:
        assert printed(Table("title", COLUMNS, ROWS), 40) == [
            "title",
            "agent",
            "    NTAG ms  gain of bound  seconds",
            "─" * 37,  # as wide as the names
            "infida:refresh=8,learning_rate=theory",
            "  1,234.500         99.66%     3.25",
            "random",
            "      0.000          0.00%     0.01",
        ]

    def test_then_columns_are_left_out(self) -> None:
        assert printed(Table("title", COLUMNS, ROWS, ["that is all"]), 24) == [
            "title",
            "agent",
            "             gain of",
            "    NTAG ms    bound",
            "─" * 24,
            "infida:refresh=8,",
            "learning_rate=theory",
            "  1,234.500   99.66%",
            "random",
            "      0.000    0.00%",
            "no room for: seconds; a",
            "wider terminal or --json",
            "has them",
            "that is all",
        ]

    def test_at_last_pairs(self) -> None:
        """Nothing may be left out here, and there is no room for headers side by side."""
        columns = [Column[tuple[str, ...]](one.header, one.cell, left=one.left) for one in COLUMNS]
        assert printed(Table("title", columns, ROWS[1:]), 21) == [
            "title",
            "random",
            "  NTAG ms 0.000",
            "  gain of bound 0.00%",
            "  seconds 0.01",
        ]

    def test_several_columns_may_name_a_row(self) -> None:
        rows = [("topology-1-sliding", "50", "infida", "1.00 ± 0.25", "3.25 ± 0.10")]
        columns = [
            Column[tuple[str, ...]]("scenario", lambda row: row[0], left=True),
            Column("rate", lambda row: row[1]),
            Column("agent", lambda row: row[2], left=True),
            Column("NTAG ms", lambda row: row[3]),
            Column("latency ms", lambda row: row[4], rank=1),
        ]
        assert printed(Table("title", columns, rows, heads=3), 40) == [
            "title",
            "scenario            rate  agent",
            "      NTAG ms   latency ms",
            "─" * 32,
            "topology-1-sliding    50  infida",
            "  1.00 ± 0.25  3.25 ± 0.10",
        ]
        assert printed(Table("title", columns, rows, heads=3), 28) == [
            "title",
            "topology-1-sliding   rate 50",
            "infida",
            "  NTAG ms 1.00 ± 0.25",
            "  latency ms 3.25 ± 0.10",
        ]

    def test_files_get_everything(self) -> None:
        lines = printed(Table("title", COLUMNS, ROWS), 40, endless=True)
        assert lines[-2:] == [
            "infida:refresh=8,learning_rate=theory  1,234.500   99.66%     3.25",
            "random                                     0.000    0.00%     0.01",
        ]

    def test_a_column_without_anything_is_not_shown(self) -> None:
        empty = Column[tuple[str, ...]]("net ms", lambda row: None)
        assert printed(Table("title", [*COLUMNS, empty], ROWS), 80) == printed(Table("title", COLUMNS, ROWS), 80)

    def test_without_rows(self) -> None:
        assert printed(Table("title", COLUMNS, []), 80)[:2] == ["title", "agent"]

    def test_listing(self) -> None:
        listed = Listing(["agents: ", *names(["infida", "static-greedy", "random"])])
        assert printed(listed, 30) == ["agents: infida, static-greedy,", "random"]
        assert printed(listed, 30, endless=True) == ["agents: infida, static-greedy, random"]

    @pytest.mark.parametrize(
        ("width", "shown"),
        [(80, "branch: gap 0.5%, gain 1e7 ms"), (20, "branch: gap 0.5%"), (8, "branch"), (1, "branch")],
    )
    def test_beginning(self, width: int, shown: str) -> None:
        assert beginning("branch: gap 0.5%, gain 1e7 ms", width) == shown

    def test_an_agent_breaks_between_its_parameters(self) -> None:
        assert agent("a:b=[1,2],c=x") == ["a:", "b=[1,2],", "c=x"]
        assert agent("./my-agents/mine.py:Always") == ["./my-agents/mine.py:", "Always"]


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=60)
FIGURES = st.floats(-1e12, 1e12).map(lambda x: f"{x:,.3f}") | st.floats(0, 1e6).map(lambda x: f"{x:,.2f} ± {x / 7:.2f}")
CELLS: st.SearchStrategy[Cell | None] = st.one_of(
    PLAIN, FIGURES, st.none(), st.lists(PLAIN, max_size=5).map(names), PLAIN.map(agent), PLAIN.map(words)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), width=st.sampled_from(WIDTHS))
def test_nothing_is_split(data: st.DataObject, width: int) -> None:
    """Whatever cells hold: each piece stands in one line, unless its whole column is said to be left out."""
    count = data.draw(st.integers(1, 8))
    headers = [f"h{i} {data.draw(st.sampled_from(['ms', 'MB per slot', '']))}".strip() for i in range(count)]
    rows = data.draw(st.lists(st.lists(CELLS, min_size=count, max_size=count), min_size=1, max_size=4))

    def column(i: int) -> Column[Sequence[Cell | None]]:
        return Column(headers[i], lambda row: row[i], data.draw(st.integers(0, 3)), data.draw(st.booleans()))

    heads = data.draw(st.integers(1, count))
    lines = printed(Table("title", [column(i) for i in range(count)], rows, heads=heads), width)
    said = re.search(r"no room for: (.*);", " ".join(lines))
    missing = said[1].split(", ") if said else []
    assert not set(headers[:heads]) & set(missing)
    pieces = {
        printable(piece).strip()
        for row in rows
        for header, cell in zip(headers, row, strict=True)
        if header not in missing
        for piece in ([cell] if isinstance(cell, str) else cell or ())
    }
    for piece in pieces:
        assert any(piece in line for line in lines), f"{piece!r} is split at {width}"
    longest = max(map(cell_len, pieces), default=0) + cell_len("  h0 MB per slot    ")
    assert all(cell_len(line) <= max(width, longest) for line in lines)
