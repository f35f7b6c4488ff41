"""Terminals of several widths: figures and names stay whole, progress is a line that updates, JSON is as it was."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from command_line import ENTRY, Outcome, environment, idn_gym, in_process

pytestmark = pytest.mark.commands

WIDTHS = (40, 80, 100, 120)
AGENTS = ("--agent", "infida:refresh=4,learning_rate=theory", "--agent", "random", "--agent", "optimum")


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A number of columns, and a terminal that has them."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def shown(width: int, *words: object) -> str:
    """What a command prints, none of whose lines the terminal would break, but for a single long name."""
    outcome = in_process(*words)
    assert outcome.status == 0, outcome.stderr
    assert all(len(line) <= width or " " not in line.strip() for line in outcome.stdout.splitlines())
    return outcome.stdout


@cache
def document(*words: object) -> Any:
    return json.loads(in_process(*words, "--json").stdout)


def lacks(text: str) -> str:
    """The headers that a table says there was no room for."""
    _, _, rest = " ".join(text.split()).partition("no room for: ")
    return rest.partition("; a wider terminal")[0]


def test_list(width: int) -> None:
    text = shown(width, "list")
    about = document("list")
    for scenario in about["scenarios"]:
        for key in ("id", "name", "V", "M", "P", "R", "K"):
            figure = scenario[key] if isinstance(scenario[key], str) else f"{scenario[key]:,}"
            assert figure in text.split() or key in lacks(text)
    for name in about["agents"]:
        assert name in text.replace(",", "").split()
    legend = " ".join(text.split())
    assert "V: nodes, M: models, P: placements, R: request types, K: options of a request type, at most" in legend


def test_show(width: int) -> None:
    text = shown(width, "show", "topology-1-sliding")
    for whole in ("yolov4-tiny-416", "12,000", "2,089.62", "rtx-2080-ti", "main-co0", "topology-1-sliding: "):
        assert whole in text
    assert "V: nodes" in text


def test_run(width: int) -> None:
    words = ("run", "tiny", "--slots", 4, *AGENTS)
    text = shown(width, *words)
    lines = text.splitlines()
    for row in document(*words)["agents"]:
        assert f"{row['ntag']:.3f}" in text.split()
        assert f"{row['inaccuracy']:.2f}" in text.split() or "inaccuracy pp" in lacks(text)
        parts = row["agent"].replace(":", ": ").replace(",", ", ").split()
        assert all(any(part in line for line in lines) for part in parts)


def test_evaluate(width: int, golden: Path) -> None:
    files = ("--allocation", golden / "allocation.json", "--requests", golden / "requests.csv")
    text = shown(width, "evaluate", golden / "scenario.json", *files)
    for row in document("evaluate", golden / "scenario.json", *files)["slots"]:
        assert f"{row['gain']:,.3f}" in text.split()
        assert f"{row['latency_ms']:,.3f}" in text.split() or "latency ms" in lacks(text)


def test_json_knows_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = set()
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        printed.add(in_process("list", "--json").stdout)
    assert len(printed) == 1


@pytest.mark.parametrize(("agents", "starred"), [(("random",), False), (("random", "static-greedy"), True)])
def test_stars_stand_where_there_are_some(agents: tuple[str, ...], starred: bool) -> None:
    words = [word for agent in agents for word in ("--agent", agent)]
    text = in_process("run", "tiny", "--slots", 2, *words).stdout
    assert ("*" in text) == starred
    assert ("in hindsight" in text) == starred


class TestSearches:
    def test_nothing_off_a_terminal(self) -> None:
        outcome = in_process("optimum", "tiny", "--slots", 4, "--json")
        assert (outcome.status, outcome.stderr) == (0, "")

    @pytest.mark.parametrize(
        "words",
        [
            ("optimum", "tiny", "--slots", 4),
            ("saa", "tiny", "--slots", 2, "--streams", 1, "--replications", 2),
            ("run", "tiny", "--slots", 4, "--agent", "optimum"),
        ],
    )
    def test_the_log_if_asked_for(self, words: tuple[object, ...]) -> None:
        quiet, outcome = in_process(*words), in_process(*words, "--verbose")
        assert "relax: gap " in outcome.stderr
        assert "relax: gap " not in quiet.stderr
        assert outcome.stdout.splitlines()[1:2] == quiet.stdout.splitlines()[1:2]

    def test_phases_say_which(self) -> None:
        words = ("run", "tiny", "--slots", 4, "--agent", "dynamic-optimum:every=2", "--verbose")
        assert "phase 2 of 2, relax: gap " in in_process(*words).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
class TestTerminal:
    """In a terminal that says how wide it is."""

    @pytest.mark.parametrize(
        "words", [("optimum", "tiny", "--slots", 4), ("run", "tiny", "--slots", 70, "--agent", "optimum")]
    )
    def test_progress_is_a_line_that_updates(self, words: tuple[object, ...]) -> None:
        outcome = in_terminal(80, *words)
        assert outcome.status == 0
        assert "\x1b[2K" in outcome.stdout  # a line is wiped and drawn again
        assert "\\x1b" not in outcome.stdout  # and not shown as escapes
        assert "relax: gap" not in outcome.stdout.rpartition("\x1b[2K")[2]  # and leaves nothing of the log

    def test_its_width(self) -> None:
        """A row is one line where there is room for it, and two where there is not, with all its columns."""
        wide, narrow = (in_terminal(width, "list").stdout.replace("\r", "") for width in (100, 80))
        sizes = r"topology-2-sliding +5 +200 +800 +20 +39 +600"
        assert re.search(rf"^IDN/TopologyII-Sliding-v0 +{sizes}$", wide, re.MULTILINE)
        assert re.search(rf"^IDN/TopologyII-Sliding-v0\n  {sizes}$", narrow, re.MULTILINE)


def in_terminal(width: int, *words: object) -> Outcome:
    """The command in a process whose standard streams are a terminal of that many columns, without colours."""
    import fcntl  # on Windows there are none of them
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    variables = {key: value for key, value in environment().items() if key != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [str(ENTRY), *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs, env=variables
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not piece:
            break
        printed += piece
    os.close(ours)
    return Outcome(process.wait(), printed.decode(), "")


def test_compiling_is_said_once(tmp_path: Path) -> None:
    """With nothing kept yet a line says so; with what the first process kept, nothing does."""
    (tmp_path / "requests.csv").write_text("slot,task,source,requests\n0,cars,bs0,8\n")
    (tmp_path / "allocation.json").write_text("{}")
    files = ("--allocation", tmp_path / "allocation.json", "--requests", tmp_path / "requests.csv")
    words = ("evaluate", "tiny", *files, "--json")
    first, second = (idn_gym(*words, variables={"NUMBA_CACHE_DIR": str(tmp_path / "kept")}) for _ in range(2))
    assert first.stderr == "idn-gym: compiling, once: later starts find what is compiled\n"
    assert second == Outcome(0, first.stdout, "")
