"""The systems as a figure of ``idn-gym reproduce``: three of them, to be quick, and the page for all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import in_process
from idn_agents.systems import SYSTEMS
from idn_agents.systems.frame import Check
from idn_agents.systems.running import reproduction
from idn_agents.systems.sled import Sled

from idn_gym.reproduce import FIGURES, figure, figures

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reproduction.md").read_text()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of nine systems three that take no time."""
    monkeypatch.setattr(reproduction, "SYSTEMS", ("heet", "qpart", "sled"))
    reproduction._played.cache_clear()
    yield
    reproduction._played.cache_clear()


def test_it_is_among_the_figures() -> None:
    assert figures() == [*FIGURES, "systems"]
    assert figure("systems") is reproduction


def test_claims_and_golden_numbers(few: None, tmp_path: Path) -> None:
    page, output = tmp_path / "page.md", tmp_path / "out"
    outcome = in_process("reproduce", "systems", "--check", "--json", "--output", output, "--report", page)
    assert outcome.status == 0, outcome.stderr
    [one] = json.loads(outcome.stdout)["figures"]
    assert (one["figure"], one["streams"], one["runs"]) == ("systems", 0, 0)
    found = {check["claim"]: check for check in one["checks"]}
    assert all(check["outcome"] == check["documented"] for check in found.values())
    assert found["sled: golden numbers"]["evidence"] == "8 of 8"
    assert found["sled: 2.8x the capacity of centralised serving"]["outcome"] == "does not hold"
    assert found["qpart: payload 80 % lower"]["source"] == "[S] abstract of arXiv 2506.23934"
    rows = list(csv.DictReader((output / "systems" / "table.csv").read_text().splitlines()))
    assert {row["system"] for row in rows} == {"heet", "qpart", "sled"}
    assert (output / "systems.png").read_bytes().startswith(b"\x89PNG")
    assert "| sled: golden numbers | golden | **holds** | 8 of 8 |" in page.read_text()
    assert (tmp_path / "page" / "systems.csv").read_text() == (output / "systems" / "table.csv").read_text()


def test_a_missed_number_is_an_error(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = Check.near("E(0.5, 3)", 1.88, 1.9, 0.005, "golden")
    monkeypatch.setattr(Sled, "checks", lambda system, data=None: iter([missed]))
    outcome = in_process("reproduce", "systems", "--check", "--json")
    assert outcome.status == 1
    assert "documented to hold, and does not: sled: golden numbers: 1 of 1 missed, E(0.5, 3) first" in outcome.stderr


def test_the_page_has_every_system_and_what_does_not_hold() -> None:
    section = PAGE[PAGE.index("\n## systems\n") :]
    for name in SYSTEMS:
        assert f"| {name}: golden numbers | golden | **holds** |" in section
    for keys, says in ((reproduction._NOT_HOLDING, "does not hold"), (reproduction._NOT_DECIDED, "not decided")):
        for name, text in keys:
            assert any(
                line.startswith(f"| {name}: {text} |") and f"**{says}**" in line for line in section.splitlines()
            )
