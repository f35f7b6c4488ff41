"""The command line and its terminal: what reaches it, in which encoding, who reads it, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from command_line import ENTRY, PATIENCE, environment, idn_gym, in_process, install_agents

from idn_gym.common.startup import how_to_go_on
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.report import progress, tables
from idn_gym.report.console import console
from idn_gym.scenario import parse
from idn_gym.scenario.file import from_values, to_yaml
from idn_gym.scenario.yaml_file import parse_yaml

pytestmark = pytest.mark.commands

# node names of tiny -> names that are markup, an emoji's name, joined emoji, right-to-left letters, a formula
NAMES = {
    "bs0": "[/x]",
    "bs1": ":smile: a\u0301  b",
    "co": "\U0001f469\u200d\U0001f680$x^{",
    "cloud": "bs[gpu]",
    "cars": "[red]ca$rs",
    "tiny": "[/]\u05d0\u05d1",
}
ESCAPES = {"*": "[/] [b]bold\x1b[31m red", "workload.rate": "ab\u202ecd\x9b2J", "nodes": "é\n日本"}


def renamed(values: Any) -> Any:
    """JSON values with `NAMES` in place of the plain ones."""
    if isinstance(values, dict):
        return {key: renamed(value) for key, value in values.items()}
    if isinstance(values, list):
        return [renamed(value) for value in values]
    return NAMES.get(values, values) if isinstance(values, str) else values


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of tiny under other names, and with sources that hold what a terminal acts on."""
    path = tmp_path_factory.mktemp("odd") / "odd.json"
    values = renamed(load_scenario("tiny").to_dict()) | {"provenance": ESCAPES}
    path.write_text(json.dumps(values), "utf-8")
    return path


def printable(text: str) -> bool:
    """Whether a terminal would only show it."""
    return not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)


class TestText:
    def test_names_print_as_they_are(self, odd: Path) -> None:
        outcome = in_process("show", odd)
        assert (outcome.status, outcome.stderr) == (0, "")
        for name in NAMES.values():
            assert name in outcome.stdout
        for shown in ("[/] [b]bold\\x1b[31m red", "ab\\u202ecd\\x9b2J", "é", "日本"):
            assert shown in outcome.stdout
        assert printable(outcome.stdout)

    def test_they_go_through_every_file(self, odd: Path, tmp_path: Path) -> None:
        """Scenario, trace, records, plots' titles and labels; a folder that is markup is named as it is."""
        copy = tmp_path / "copy[red].yaml"
        copy.write_text(in_process("show", odd, "--yaml").stdout, "utf-8")
        assert printable(copy.read_text("utf-8"))
        assert load_scenario(copy) == load_scenario(odd)
        trace, folder = tmp_path / "[red]", tmp_path / "out[" / "b]"
        assert in_process("trace", copy, "--slots", 2, "--output", trace).status == 0
        agents = ("--agent", "random", "--agent", "static-greedy")
        outcome = in_process("run", copy, *agents, "--trace", trace, "--output", folder)
        assert outcome.status == 0
        assert f"{NAMES['tiny']}, 2 slots" in outcome.stdout
        assert f"records and plots in {folder}\n" in outcome.stdout
        assert in_process("check", trace, "--scenario", copy).stdout == f"{trace}: a valid trace file\n"
        again = in_process("run", copy, *agents, "--trace", trace, "--output", folder, "--resume")
        assert again.stdout.splitlines()[:4] == outcome.stdout.splitlines()[:4]

    def test_messages(self, odd: Path, tmp_path: Path) -> None:
        for name in ("[/x].yaml", "a\x1b[31mb.yaml", "a\u202eb.yaml", "two\nlines.yaml", os.fsdecode(b"\xff.yaml")):
            outcome = in_process("check", tmp_path / name)
            assert (outcome.status, outcome.stdout) == (2, "")
            assert outcome.stderr.count("\n") == 1
            assert printable(outcome.stderr)
        assert "node '[/y]'; did you mean '[/x]'? allowed: bs[gpu]" in self.refused(odd, '{"[/y]": []}', tmp_path)
        assert "node '\\x1b[2J'" in self.refused(odd, '{"\\u001b[2J": []}', tmp_path)

    def refused(self, scenario: Path, allocation: str, folder: Path) -> str:
        """What `check` says of an allocation."""
        (folder / "a.json").write_text(allocation)
        outcome = in_process("check", folder / "a.json", "--scenario", scenario)
        assert printable(outcome.stderr)
        return outcome.stderr

    def test_usage(self) -> None:
        for option in ("--\x1b[31mred", "--two\nlines", "--" + "x" * 5000):
            outcome = in_process("run", "tiny", option)
            assert (outcome.status, outcome.stdout) == (2, "")
            assert printable(outcome.stderr)
            assert max(map(len, outcome.stderr.splitlines())) <= 300
        for words in (("--slots", "few"), ("--slots", "0"), ("--seed", "-1")):
            outcome = in_process("trace", "tiny", *words)
            assert f"'{words[1]}'" in outcome.stderr
            assert "Input should" not in outcome.stderr

    @pytest.mark.parametrize(
        "mark", ["\x1b[31m", "\x07", "\x85", "\u202e", "\u200f", "\u061c", "\ud800", "\n", "\u2028"]
    )
    def test_what_names_may_not_hold(self, mark: str) -> None:
        values = load_scenario("tiny").to_dict()
        for name in (f"a{mark}b", mark):
            for changed in (
                values | {"name": name},
                values | {"tasks": [*values["tasks"], name]},
                values | {"nodes": [*values["nodes"], {"name": name, "processor": "edge"}]},
                values | {"workload": {"kind": "trace", "requests": name}},
                values | {"provenance": {name: "x"}},
            ):
                with pytest.raises(IdnError, match=r"must be (text of one line|a string of unicode)") as caught:
                    parse(changed, "drawn")
                assert printable(str(caught.value))

    @pytest.mark.parametrize(
        "name", [*NAMES.values(), "\ufeff", "\u200b", "a\xa0b", "\U0001f1e9\U0001f1ea", " ", "'\""]
    )
    def test_what_names_may_hold(self, name: str) -> None:
        values = load_scenario("tiny").to_dict()
        scenario = parse(values | {"name": name, "provenance": {name: name}}, "drawn")
        assert scenario.name == name
        assert parse(parse_yaml(to_yaml(scenario), "y"), "y") == scenario

    def test_progress_bars(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal, where Rich draws them."""

        class Terminal(StringIO):
            def isatty(self) -> bool:
                return True

        drawn = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", drawn)
            with progress.PlayProgress() as bars:
                bars("[/x]:path=\x1b[2J", 1, 2)
        assert "[/x]:path=\\x1b[2J" in drawn.getvalue()
        assert "\x1b[2J" not in drawn.getvalue()

    def test_tables_of_others(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Titles, captions and cells are no markup, whoever fills them."""
        document = {
            "figure": "[/]",
            "title": ":smile:",
            "runs": 1,
            "slots": 1,
            "streams": 1,
            "checks": [{"claim": "[b]", "outcome": "\x1b", "evidence": "[/b]"}],
        }
        console().print(tables.checks(document))
        printed = capsys.readouterr().out
        assert "[/]: :smile:" in printed
        assert all(cell in printed for cell in ("[b]", "\\x1b", "[/b]"))

    def test_labels_of_plots(self, tmp_path: Path) -> None:
        """A dollar is no formula, wherever a name comes to stand; an unfinished one would be an error."""
        from idn_gym.report import plots, trade_off

        names = {"$\\frac{$": [1.0, 2.0], "a$b_{": [2.0, 1.0], "$x$": [0.0, 1.0]}
        title = "$\\undefined{$ \x1b"
        plots.ntag_over_time(names, tmp_path / "a.png", hindsight=["$x$"], title=title)
        plots.regret_over_time(names, tmp_path / "b.png", comparator="$x$ of $\\frac{$", title=title)
        rows = [{"agent": name, "latency_ms": 1.0, "inaccuracy": 2.0} for name in names]
        trade_off.latency_against_inaccuracy(rows, tmp_path / "c.png", title=title)
        shares = {"$\\frac{$": {"$\\v{$": [0.5]}}
        plots.allocation_per_tier(shares, ["tier 0"], tmp_path / "d.png", title=title)
        assert len(list(tmp_path.iterdir())) == 4


class TestEncoding:
    @pytest.mark.parametrize(
        "variables",
        [{"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}],
        ids=lambda variables: variables["PYTHONIOENCODING"],
    )
    def test_output_is_utf_8(self, odd: Path, tmp_path: Path, variables: dict[str, str]) -> None:
        variables = variables | {"PYTHONUTF8": "0"}
        text = idn_gym("show", odd, "--yaml", variables=variables)
        assert (text.status, text.stderr) == (0, "")
        (tmp_path / "mine.yaml").write_text(text.stdout, "utf-8")
        assert load_scenario(tmp_path / "mine.yaml") == load_scenario(odd)
        outcome = idn_gym("show", odd, "--set", "nodes.\N{GREEK SMALL LETTER PI}=1", variables=variables)
        assert outcome.status == 2  # its own message, not one about an encoding
        assert "among the nodes" in outcome.stderr
        outcome = idn_gym("show", odd, variables=variables)
        assert outcome == in_process("show", odd)


class TestReaders:
    """Nobody reads what is printed, or nobody can: no traceback, and what was asked for is done."""

    def shell(self, script: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """A line of sh in which "$@" is the command."""
        command = ["sh", "-c", script, "sh", str(ENTRY), *map(str, arguments)]
        how: dict[str, Any] = {"encoding": "utf-8", "env": environment(), "timeout": PATIENCE, "check": False}
        return subprocess.run(command, **{"capture_output": True, **how, **options})

    @pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
    def test_closed(self, tmp_path: Path, closed: str) -> None:
        done = self.shell(
            f'"$@" {closed}', "run", "tiny", "--agent", "random", "--slots", 2, "--output", tmp_path / "r"
        )
        assert done.returncode == 0
        assert "Traceback" not in done.stderr
        assert (tmp_path / "r" / "random" / "result.json").exists()

    def test_closed_and_refused(self) -> None:
        done = self.shell('"$@" 2>&-', "check", "nosuch.yaml")
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")

    @pytest.mark.parametrize("words", [("list",), ("trace", "topology-2-fixed")])
    def test_gone(self, words: tuple[str, ...]) -> None:
        """The end of the pipe that is read is closed before anything is written."""
        read, write = os.pipe()
        os.close(read)
        try:
            outcome = self.shell('"$@"', *words, capture_output=False, stdout=write, stderr=subprocess.PIPE)
        finally:
            os.close(write)
        assert (outcome.returncode, outcome.stderr) == (0, "")

    def test_messages_that_nobody_reads(self) -> None:
        read, write = os.pipe()
        os.close(read)
        words = ("run", "tiny", "--agent", "random", "--agent", "infida", "--slots", 2, "--json")
        try:
            outcome = self.shell('"$@"', *words, capture_output=False, stdout=subprocess.PIPE, stderr=write)
        finally:
            os.close(write)
        assert outcome.returncode == 0
        assert len(json.loads(outcome.stdout)["agents"]) == 2

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
    def test_a_full_disk_is_an_error(self) -> None:
        done = self.shell('"$@" >/dev/full', "list")
        assert done.returncode == 1
        assert done.stderr == "idn-gym: No space left on device\n"


class TestInterrupt:
    CODE = """
import os, signal, sys

class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests
sys.meta_path.insert(0, AtImport())
sys.argv = ["/some/where/idn-gym", *{words!r}]
from idn_gym.cli import main
main()
"""

    @pytest.mark.parametrize(
        "moment",
        ["gymnasium", "typer", "idn_agents.commands", "numba", "scipy.stats"],
    )
    def test_during_the_imports(self, tmp_path: Path, moment: str) -> None:
        words = ["run", "topology-2-fixed", "--agent", "infida", "--slots", "3", "--output", str(tmp_path / "r")]
        if moment == "scipy.stats":
            words = ["saa", "tiny"]
        code = self.CODE.format(moment=moment, words=words)
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode == 0:
            pytest.fail(f"{moment} is not imported by this command")
        assert (done.returncode, done.stdout) == (130, "")
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1] == f"idn-gym: {how_to_go_on(words)}"

    def test_during_the_run(self, tmp_path: Path) -> None:
        """From the first agent's first slot on; what is complete stays, and resuming finishes it."""
        source = """
import os, signal
from idn_agents.baselines import Random

class Once(Random):
    def act(self, observation):
        flag = os.environ["FLAG"]
        if not os.path.exists(flag):
            open(flag, "w").close()
            os.kill(os.getpid(), signal.SIGINT)
        return super().act(observation)
"""
        plugins = install_agents(tmp_path / "plugins", source, "[idn_gym.agents]\nonce = theirs:Once\n")
        words = ("run", "tiny", "--agent", "random", "--agent", "once", "--slots", 3, "--output", tmp_path / "r")
        how: dict[str, Any] = {"plugins": plugins, "variables": {"FLAG": str(tmp_path / "flag")}}
        # whatever started the tests, Ctrl-C is not ignored
        first = idn_gym(*words, **how, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        assert (first.status, first.stdout) == (130, "")
        assert first.stderr.splitlines()[-1].endswith(
            "interrupted; the same command with --resume goes on from what --output holds"
        )
        assert "Traceback" not in first.stderr
        assert (tmp_path / "r" / "random" / "result.json").exists()
        second = idn_gym(*words, "--resume", **how)
        assert second.status == 0
        assert (tmp_path / "r" / "once" / "result.json").exists()

    def test_in_a_program_of_someones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A library that makes an error of its own of an interrupt does not hide it."""

        def interrupted(*arguments: object) -> None:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ImportError("numpy failed to import") from error

        monkeypatch.setattr("idn_gym.library.load.packaged_name", interrupted)
        outcome = in_process("show", "tiny")
        assert (outcome.status, outcome.stdout, outcome.stderr) == (130, "", "idn-gym: interrupted\n")

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["run", "tiny", "--output", "x"], "with --resume goes on"),
            (["sweep", "g.yaml", "--output=x"], "with --resume goes on"),
            (["train", "tiny", "--output", "x", "--resume"], "the same command goes on"),
            (["reproduce", "fig2", "--output", "x"], "with --resume goes on"),
            (["run", "tiny"], "interrupted"),
            (["trace", "tiny", "--output", "x"], "interrupted"),
            ([], "interrupted"),
        ],
    )
    def test_how_to_go_on(self, words: list[str], says: str) -> None:
        assert says in how_to_go_on(words)
        assert ("--output" in how_to_go_on(words)) == (says != "interrupted")


class TestPluginCommands:
    """A command of somebody else's that is at fault is named, and takes none of the others along."""

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("raise RuntimeError('[/x]\\x1b[31m')", "[/x]\\x1b[31m"),
            ("import sys; sys.exit(3)", "bad"),
            ("raise BaseException('base')", "base"),
            ("class Odd(Exception):\n    def __str__(self):\n        return 'x' * 9000\nraise Odd", "xxx"),
            ("import nowhere_at_all", "nowhere_at_all"),
            ("bad = 3", "bad"),
            ("def bad(x: 'Nowhere'): pass", "bad"),
        ],
    )
    def test_at_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str) -> None:
        self.install(tmp_path, monkeypatch, source, "bad = theirs:bad\n")
        outcome = in_process("check", tmp_path / "nosuch.yaml")
        first, second = outcome.stderr.splitlines()
        assert outcome.status == 2
        assert "bad" in first
        assert says in first
        assert len(first) < 300
        assert printable(first)
        assert "nosuch.yaml" in second

    @pytest.mark.filterwarnings("default")
    def test_a_warning_is_a_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = (
            "import warnings\nwarnings.warn('two\\nlines [/x]\\x1b[2J' + 'x' * 900)\ndef good():\n    print('ran')\n"
        )
        self.install(tmp_path, monkeypatch, source, "good = theirs:good\n")
        outcome = in_process("good")
        assert (outcome.status, outcome.stdout) == (0, "ran\n")
        assert outcome.stderr.startswith("idn-gym: warning: two lines [/x]\\x1b[2Jxxx")
        assert outcome.stderr.count("\n") == 1
        assert len(outcome.stderr) <= 300

    def test_named_as_one_of_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(tmp_path, monkeypatch, "def check():\n    print('theirs')\n", "check = theirs:check\n")
        outcome = in_process("check", tmp_path / "nosuch.yaml")
        assert outcome.stdout == ""
        assert outcome.stderr.count("check") >= 1
        assert "nosuch.yaml: cannot be read" in outcome.stderr.splitlines()[-1]

    def install(self, folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, points: str) -> None:
        """Somebody's package on the path of this process."""
        monkeypatch.syspath_prepend(str(install_agents(folder / "p", source, f"[idn_gym.commands]\n{points}")))
        monkeypatch.delitem(sys.modules, "theirs", raising=False)


class TestNumbers:
    """Numbers that no computation takes are refused in a line, before anything runs."""

    @pytest.mark.parametrize(
        "words",
        [
            ("trace", "tiny", "--seed", 2**64),
            ("trace", "tiny", "--seed", "9" * 400),
            ("trace", "tiny", "--slots", "9" * 400),
            ("run", "tiny", "--agent", "random", "--seed", 10**30),
            ("run", "tiny", "--agent", "random", "--slots", "9" * 100),
            ("replay", "tiny", "twin", "--rate", "nan"),
            ("replay", "tiny", "twin", "--rate", "9" * 400),
            ("replay", "tiny", "twin", "--rate", "-inf"),
            ("optimum", "tiny", "--seed", 2**70),
            ("show", "tiny", "--set", f"accuracy_weight={'9' * 400}"),
            ("show", "tiny", "--set", f"horizon={'9' * 400}"),
            ("show", "tiny", "--set", f"tasks={'9' * 9000}"),
        ],
        ids=lambda words: " ".join(map(str, words))[:40],
    )
    def test_refused(self, words: tuple[object, ...]) -> None:
        outcome = in_process(*words)
        assert (outcome.status, outcome.stdout) == (2, "")
        assert outcome.stderr.count("\n") == 1
        assert len(outcome.stderr) <= 300
        key = str(words[-2]) if words[-2] != "--set" else str(words[-1]).partition("=")[0]
        assert key in outcome.stderr

    def test_the_largest_seed(self) -> None:
        outcome = in_process("trace", "tiny", "--slots", 2, "--seed", 2**64 - 1)
        assert (outcome.status, outcome.stderr) == (0, "")

    @pytest.mark.parametrize("overrides", [{1: 2}, [1], 5, None, [None], [("a", 1)], {None: 1}, b"a=1", {("a",): 1}])
    def test_overrides(self, overrides: Any) -> None:
        values = load_scenario("tiny").to_dict()
        with pytest.raises(IdnError, match=r"^override"):
            from_values(values, "f", overrides)
        with pytest.raises(IdnError, match=r"^override"):
            load_scenario("tiny", overrides)

    @pytest.mark.parametrize("scenario", [5, None, b"tiny", ["tiny"], 1.5, object()])
    def test_scenario(self, scenario: Any) -> None:
        with pytest.raises(IdnError, match=r"^scenario .*: must be a name"):
            load_scenario(scenario)
