"""Pages of ``idn-gym report``: what they say is what the records say, the same bytes again, and no name is markup."""

from __future__ import annotations

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import in_process
from page_records import HOSTILE, hostile, run, swept

from idn_gym.experiment.intervals import student_bands, student_interval
from idn_gym.experiment.record_files import read_result
from idn_gym.report.page import runs
from idn_gym.report.page.html import page_of
from idn_gym.report.page.network import picture
from idn_gym.report.page.runs import run_part, sweep_part
from idn_gym.report.page.settings import views
from idn_gym.report.page.streams import read_stream

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


class Read(HTMLParser):
    """A page as a browser would read it: its elements, the text of its cells, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.tables: list[list[list[tuple[str, str]]]] = []  # rows of (class, text)
        self.text = ""
        self._script = self._cell = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._script = tag == "script"
        if self._script:
            self.scripts.append("")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append((dict(attrs).get("class") or "", ""))
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._script &= tag != "script"
        self._cell &= tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[-1] += data
            return
        self.text += data
        if self._cell:
            kind, text = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = kind, text + data

    @property
    def data(self) -> Any:
        """The data of the views."""
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("records") / "tiny")


@pytest.fixture(scope="module")
def wicked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile(tmp_path_factory.mktemp("records") / "wicked")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swept(tmp_path_factory.mktemp("records") / "grid")


class TestPage:
    def test_the_same_records_give_the_same_bytes(self, record: Path, tmp_path: Path) -> None:
        """Wherever they lie."""
        moved = Path(shutil.copytree(record, tmp_path / "elsewhere"))
        assert page_of([record]) == page_of([moved])

    def test_nothing_is_asked_of_a_network(self, record: Path) -> None:
        read = Read(page_of([record]))
        addresses = [
            value for _, attributes in read.elements for key in ("src", "href") if (value := attributes.get(key))
        ]
        assert all(address.startswith(("data:", "#")) for address in addresses)
        [policy] = [a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]

    def test_no_name_is_markup(self, wicked: Path) -> None:
        """As many elements, and of the same kinds, as with innocent names; what is in scripts ends none."""
        page = page_of([wicked])
        read = Read(page)
        assert [tag for tag, _ in read.elements].count("script") == len(read.scripts) == 3
        assert not {tag for tag, _ in read.elements} & {"svg", "b"}
        assert [a for tag, a in read.elements if tag == "img"] == []
        assert not [key for _, attributes in read.elements for key in attributes if key.startswith("on")]
        assert HOSTILE in read.text, "shown as it is, templates and entities included"
        assert "49" not in re.sub(r"[0-9a-f]{64}|[\d.]{4,}", "", read.text.split("What was run")[1])
        assert HOSTILE in read.data["parts"]["s0"]["settings"][0]["network"]["nodes"][0]["name"]
        assert "<" not in read.scripts[0]

    def test_tables_are_those_of_the_command_line(self, record: Path) -> None:
        table = Read(page_of([record])).tables[0]
        headers = [text for _, text in table[0]]
        assert headers[:2] == ["agent", "NTAG ms"]
        assert {row[0][1] for row in table[1:]} == {"random", "infida"}
        stream = read_stream(record)
        shown = {row[0][1]: row[1] for row in table[1:]}
        for result in stream.results:
            assert shown[str(result.agent)] == ("figure", f"{result.summary.ntag:.3f}")

    def test_what_was_run(self, record: Path) -> None:
        text = Read(page_of([record])).text
        about = json.loads((record / "run.json").read_text())
        assert "idn-gym run tiny --slots 6" in text
        for digest in about["digests"].values():
            assert digest in text
        assert about["versions"]["numpy"] in text

    def test_folders_side_by_side(self, record: Path, grid: Path) -> None:
        read = Read(page_of([record, grid]))
        both = read.data["parts"]["s0"]
        assert [axis["key"] for axis in both["axes"]] == ["folder", "accuracy_weight"]
        assert both["axes"][0]["values"] == ["tiny", "grid"]
        folders = {row[0][1] for row in read.tables[0][1:]}
        assert folders == {"tiny", "grid"}
        assert set(read.data["parts"]) == {"s0", "s1", "s2"}
        assert both["together"] == [], "a sweep has several settings"

    def test_folders_over_time(self, record: Path, tmp_path: Path) -> None:
        """Where each has one setting, the courses of all stand together: those of each by itself."""
        other = run(tmp_path / "other", seed=1)
        parts = Read(page_of([record, other])).data["parts"]
        assert [one["name"] for one in parts["s0"]["together"]] == ["tiny", "other"]
        for one, alone in zip(parts["s0"]["together"], (parts["s1"], parts["s2"]), strict=True):
            [setting] = alone["settings"]
            assert one["courses"] == {agent: found["courses"] for agent, found in setting["agents"].items()}
            assert one["x"] == setting["x"]

    def test_a_reproduction_has_its_claims_and_pictures(self, grid: Path, tmp_path: Path) -> None:
        shutil.copytree(grid, tmp_path / "fig9")
        check = {"claim": "A <b>claim</b>", "source": "paper", "outcome": "does not hold", "evidence": "-1 ms"}
        figure = {"figure": "fig9", "title": "Nine", "slots": 5, "seeds": [0, 1], "streams": 4, "runs": 8}
        (tmp_path / "fig9.json").write_text(json.dumps({**figure, "checks": [check], "seconds": 1.0}))
        png = b"\x89PNG\r\n\x1a\n rest"
        (tmp_path / "fig9.png").write_bytes(png)
        read = Read(page_of([tmp_path]))
        assert ("text verdict fails", "does not hold") in read.tables[0][1]
        assert read.tables[0][1][0][1] == "A <b>claim</b>"
        [image] = [attributes["src"] for tag, attributes in read.elements if tag == "img"]
        assert image is not None
        assert image.startswith("data:image/png;base64,iVBORw0KGgo")
        assert page_of([tmp_path / "fig9"]) == page_of([tmp_path]), "of the figure's own folder, too"


class TestData:
    def test_courses(self, record: Path) -> None:
        """The last point of NTAG is NTAG; blocks of slots are means of theirs."""
        stream = read_stream(record)
        [setting] = views([[stream]], stream.rows)["settings"]
        for result in stream.results:
            courses = setting["agents"][str(result.agent)]["courses"]
            assert courses["ntag"][0][-1] == pytest.approx(result.summary.ntag, rel=1e-4)
            gains = result.table.gain / result.table.requests
            assert courses["gain"][0] == pytest.approx(gains.tolist(), rel=1e-4)

    def test_thinned(self, tmp_path: Path) -> None:
        """Blocks of unequal lengths: their means, weighted by length, are the mean of all slots."""
        stream = read_stream(run(tmp_path / "long", slots=700, agents=("random",)))
        [setting] = views([[stream]], stream.rows)["settings"]
        x = setting["x"]
        assert len(x) == 300
        assert x[-1] == 700
        lengths = np.diff([0, *x])
        assert set(lengths) == {2, 3}
        [loaded] = setting["agents"]["random"]["courses"]["model_update_mb"]
        assert loaded @ lengths / 700 == pytest.approx(stream.results[0].summary.model_update_mb, rel=1e-3)

    def test_bands(self) -> None:
        values = np.random.default_rng(0).normal(size=(4, 6))
        values[1:, 2] = np.nan
        values[:, 3] = 1.25
        mean, low, high = student_bands(values)
        for m in (0, 1, 3, 4, 5):
            expected = student_interval(values[:, m])
            assert (mean[m], low[m], high[m]) == pytest.approx((expected.mean, expected.low, expected.high))
        assert mean[2] == values[0, 2]
        assert np.isnan([low[2], high[2]]).all()

    @pytest.mark.parametrize("room", [10**9, 20])
    def test_frames_are_allocations(self, record: Path, room: int) -> None:
        """Put together again, they hold what the record says at every stop."""
        stream = read_stream(record)
        network = stream.network
        results = [read_result(network, record / one.agent.folder, one.agent) for one in stream.results]
        found = picture(network, {str(one.agent): one.changes for one in results}, 6, room)
        assert found["stops"][0] == 0
        assert found["stops"][-1] == 5
        assert (len(found["stops"]) == 6) == (room > 100)
        for result in results:
            placed, held = list(result.placed()), set[int]()
            for stop, frame in zip(found["stops"], found["frames"][str(result.agent)], strict=True):
                held ^= set(frame)
                names = {(network.node_names[found["placed"][n][0]], found["placed"][n][1]) for n in held}
                assert names == {network.names(p) for p in np.flatnonzero(placed[stop])}

    def test_services(self, wicked: Path) -> None:
        """Their gains, weighted by their requests, are the run's."""
        read = Read(page_of([wicked]))
        [setting] = read.data["parts"]["s0"]["settings"]
        assert len(setting["services"]["names"]) == len(read_stream(wicked).scenario.services or ())
        stream = read_stream(wicked)
        mine = next(result for result in stream.results if result.agent.name.endswith("Mine"))
        assert setting["services"]["agents"][str(mine.agent)] == [0.0] * len(setting["services"]["names"])
        by_service = [table for table in read.tables if table[0][0][1] == "service"]
        gains = [sum(float(row[2][1].replace(",", "")) for row in table[1:]) for table in by_service]
        assert gains == pytest.approx([result.summary.gain for result in stream.results], abs=1.0)

    @pytest.mark.parametrize(("served", "every"), [(15, 1), (14, 2), (6, 3)])
    def test_services_of_long_runs(
        self, served: int, every: int, wicked: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of every n-th slot, where all of them (5 of 3 agents) would take too long; the page says so."""
        monkeypatch.setattr(runs, "_SERVED", served)
        part = run_part(wicked)
        said = [note for note in part.notes if note.startswith("Services are told apart in every")]
        assert len(said) == (every > 1)
        requests = read_stream(wicked).results[0].table.requests
        for table in part.more:
            asked = sum(float(row[1].replace(",", "")) for row in table.plain().rows)
            assert asked == pytest.approx(requests[::every].sum(), rel=1e-5)

    def test_settings_of_a_sweep(self, grid: Path) -> None:
        part = sweep_part(grid)
        assert part.views is not None
        assert part.views["axes"] == [{"key": "accuracy_weight", "values": ["1.0", "4.0"]}]
        ntag = [row["ntag"] for row in part.rows if row["agent"] == "random" and row["accuracy_weight"] == 4.0]
        figures = part.views["settings"][1]["agents"]["random"]["figures"]["ntag"]
        expected = student_interval(ntag)
        assert figures == pytest.approx([expected.mean, expected.low, expected.high], rel=1e-4)

    def test_what_is_not_complete_is_left_out(self, grid: Path, tmp_path: Path) -> None:
        """And said: a stream that has not been begun, and an agent without a result."""
        folder = Path(shutil.copytree(grid, tmp_path / "grid"))
        first, second, *_ = sorted(path for path in folder.iterdir() if path.is_dir())
        shutil.rmtree(first)
        (second / "infida" / "result.json").unlink()
        part = sweep_part(folder)
        assert len(part.rows) == len(sweep_part(grid).rows) - 3
        assert part.notes[:2] == [
            "1 streams of this record have not been begun, and are left out.",
            "1 runs are not complete, and are left out: infida.",
        ]

    def test_records_of_other_versions(self, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Are read: only what adds to a record must be of its versions."""
        monkeypatch.setattr("platform.python_version", lambda: "2.7")
        assert page_of([record])


class TestCommand:
    def test_it_writes_beside_the_record(self, tmp_path: Path) -> None:
        record = run(tmp_path / "tiny")
        done = in_process("report", record)
        assert done.status == 0, done.stderr
        page = (record / "report.html").read_text()
        assert in_process("report", record, "--json").status == 0, "one of ours is replaced"
        assert (record / "report.html").read_text() == page
        assert [path.name for path in record.iterdir() if path.suffix == ".part"] == []

    def test_the_folder_one_is_in(
        self, record: Path, grid: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for folder in (record, grid):
            monkeypatch.chdir(folder)
            done = in_process("report", ".", "--output", tmp_path / "page.html")
            assert done.status == 0, done.stderr

    def test_run_report(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        done = in_process("run", "tiny", "--slots", 3, "--agent", "random", "--output", folder, "--report")
        assert done.status == 0, done.stderr
        assert (folder / "report.html").read_text() == page_of([folder])
        assert "--report" not in json.loads((folder / "run.json").read_text())["command"]
        done = in_process("run", "tiny", "--agent", "random", "--report")
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr.startswith("idn-gym: --report: needs --output")

    def test_without_the_extra(self, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "plotly", None)
        done = in_process("report", record)
        assert done.status == 2
        assert done.stderr.startswith('idn-gym: report: needs Plotly; install it with: pip install -e ".[report]"')

    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            ("nowhere", "there is no such folder"),
            ("file", "is a file; give a record folder"),
            ("empty", "no record folder"),
            ("json of theirs", "no record folder"),
            ("slots", "slots.csv: not as the run wrote it"),
            ("missing slots", "slots.csv"),
            ("run.json", "run.json: not JSON"),
            ("not begun", "no agent has a result there yet"),
            ("twice", "a folder twice"),
            ("theirs", "is there and no page of idn-gym report"),
            ("no folder", "no folder"),
            ("folder", "is a folder; --output takes a file"),
            ("read-only", "cannot be written"),
        ],
    )
    def test_faults(self, fault: str, says: str, record: Path, tmp_path: Path) -> None:
        """One line, status 2, and nothing written."""
        folder = Path(shutil.copytree(record, tmp_path / "record"))
        typed: list[object] = [folder]
        if fault == "nowhere":
            typed = [tmp_path / "nowhere"]
        elif fault == "file":
            typed = [folder / "run.json"]
        elif fault == "empty":
            typed = [tmp_path / "empty"]
            (tmp_path / "empty").mkdir()
        elif fault == "json of theirs":
            typed = [tmp_path]
            (tmp_path / "package.json").write_text("{ // theirs")
        elif fault == "slots":
            with (folder / "random" / "slots.csv").open("a") as file:
                file.write("\n")
        elif fault == "missing slots":
            (folder / "random" / "slots.csv").unlink()
        elif fault == "run.json":
            (folder / "run.json").write_text("{")
        elif fault == "not begun":
            for path in folder.glob("*/result.json"):
                path.unlink()
        elif fault == "twice":
            typed = [folder, folder / "." / "..", folder][::2]
        elif fault == "theirs":
            (folder / "report.html").write_text("<!doctype html>\nmine")
        elif fault == "no folder":
            typed += ["--output", tmp_path / "none" / "page.html"]
        elif fault == "folder":
            typed += ["--output", tmp_path]
        elif fault == "read-only":
            typed += ["--output", "/proc/page.html"]
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        done = in_process("report", *typed)
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert says in done.stderr
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
