"""``idn-gym system``: its commands over every system alike, what they leave, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import idn_gym, install_agents
from idn_agents.systems import SYSTEMS, system_class
from idn_agents.systems.commands import system
from idn_agents.systems.frame import Check, Outcome, Tag
from system_line import called, refused, written
from typer.testing import CliRunner

_FEW = {  # settings that make a run short
    "infadapter": ["--set", "interval_s=300"],
    "sponge": ["--set", "seconds=60"],
    "ipa": ["--set", "window=steady-high"],
    "influence": ["--set", "graphs=2", "--set", "nodes=40"],
    "jellybean": ["--set", "steps=2"],
    "pamdi": ["--set", "seconds=20"],
}


@pytest.fixture(params=SYSTEMS)
def name(request: pytest.FixtureRequest) -> str:
    """Each system."""
    return str(request.param)


class TestEverySystem:
    def test_shown(self, name: str) -> None:
        """Every statement has a tag that the table explains."""
        about = json.loads(called("show", name, "--json"))
        assert about["name"] == name
        assert {formula["tag"] for formula in about["formulas"]} <= {tag.value for tag in Tag}
        table = called("show", name)
        assert all(f"[{formula['tag']}] {Tag(formula['tag']).meaning[:10]}" in table for formula in about["formulas"])

    def test_run(self, name: str, tmp_path: Path) -> None:
        """Policies side by side, the same in JSON, in the records and in the table; the same again."""
        output = tmp_path / "records"
        document = json.loads(called("run", name, "--json", "--output", output, *_FEW.get(name, ())))
        made = system_class(name)
        keys = ["policy", *(measure.key for measure in made.measures)]
        assert [list(row) for row in document["policies"]] == [keys] * len(document["policies"])
        assert len(document["policies"]) >= 2
        header, *rows = (output / "measures.csv").read_text().splitlines()
        assert header == ",".join(keys)
        assert [row.split(",")[0] for row in rows] == [row["policy"] for row in document["policies"]]
        kept = json.loads((output / "system.json").read_text())
        assert kept["format"] == "idn-gym/system-1"
        assert kept["claims"] == document["claims"]
        assert (output / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads(called("run", name, "--json", *_FEW.get(name, ()))) == document

    def test_claims_are_of_their_source(self, name: str) -> None:
        """What this library assumes or derives is never shown as a paper's claim."""
        document = json.loads(called("run", name, "--json", *_FEW.get(name, ())))
        assert document["claims"]
        for claim in document["claims"]:
            assert claim["outcome"] in {outcome.value for outcome in Outcome}
            assert claim["reason"]
            if claim["tag"] in (Tag.OWN, Tag.DERIVED):
                assert "this library" in claim["source"]

    def test_unknown_setting(self, name: str) -> None:
        assert "nonsense: unknown key" in refused("run", name, "--set", "nonsense=1")

    def test_state_of_unknown_keys(self, name: str, tmp_path: Path) -> None:
        assert "nonsense: unknown key" in refused("decide", name, "--state", written(tmp_path, {"nonsense": 1}))
        assert "must be a mapping of keys" in refused("decide", name, "--state", written(tmp_path, [1]))

    def test_missing_stream(self, name: str, tmp_path: Path) -> None:
        assert "cannot be read" in refused("run", name, "--trace", tmp_path / "none.csv", *_FEW.get(name, ()))

    def test_empty_stream(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "empty.csv").write_text("")
        line = refused("run", name, "--trace", tmp_path / "empty.csv", "--output", tmp_path / "out")
        assert "empty" in line
        assert not (tmp_path / "out").exists()


class TestCommands:
    def test_list(self) -> None:
        listed = json.loads(called("list", "--json"))["systems"]
        assert [row["name"] for row in listed] == list(SYSTEMS)
        assert all(name in called("list") for name in SYSTEMS)

    @pytest.mark.parametrize("command", ["show", "run", "check", "decide"])
    def test_unknown_system(self, command: str, tmp_path: Path) -> None:
        options = ["--state", written(tmp_path, {})] if command == "decide" else []
        assert refused(command, "slod", *options).startswith("system 'slod'; did you mean 'sled'?")

    def test_a_missed_check_is_status_1(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And is named."""
        missed = Check.near("E", 2.0, 3.0, 0.5, "test")
        monkeypatch.setattr(system_class("sled"), "checks", lambda self, data=None: iter([missed]))
        document = json.loads(called("check", "sled", "--json", status=1))
        assert document["checks"] == [
            {"system": "sled", "name": "E", "expected": 2.0, "got": 3.0, "holds": False, "source": "test"}
        ]

    def test_data_must_be_a_folder(self, tmp_path: Path) -> None:
        assert "is no folder" in refused("check", "sled", "--data", tmp_path / "none")

    @pytest.mark.parametrize("name", ["sponge", "heet", "pamdi", "sled"])  # with steps, with named ones, without
    def test_resumed(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Interrupted before its last policy, it goes on with that one, and ends with the same files."""
        whole, cut, few = tmp_path / "whole", tmp_path / "cut", _FEW.get(name, ())
        document = called("run", name, "--json", "--output", whole, *few)
        kind, evaluated = system_class(name), list[str]()
        evaluate, last = kind.evaluate, json.loads(document)["policies"][-1]["policy"]

        def interrupted(self: Any, policy: str, stream: Any) -> Any:
            if policy == last:
                raise KeyboardInterrupt
            return evaluate(self, policy, stream)

        def counted(self: Any, policy: str, stream: Any) -> Any:
            evaluated.append(policy)
            return evaluate(self, policy, stream)

        monkeypatch.setattr(kind, "evaluate", interrupted)
        CliRunner().invoke(system, ["run", name, "--output", str(cut), *few])
        assert "claims" not in json.loads((cut / "system.json").read_text())
        assert "--resume" in refused("run", name, "--output", cut, *few)
        monkeypatch.setattr(kind, "evaluate", counted)
        assert called("run", name, "--json", "--output", cut, "--resume", *few) == document
        assert evaluated == [last]
        assert called("run", name, "--json", "--output", cut, "--resume", *few) == document
        assert evaluated == [last]
        assert {path.name: path.read_bytes() for path in cut.iterdir()} == {
            path.name: path.read_bytes() for path in whole.iterdir()
        }

    def test_only_the_same_run_is_resumed(self, tmp_path: Path) -> None:
        """Of the same system, settings and stream; and what is refused leaves the folder as it was."""
        (tmp_path / "a.csv").write_text("tokens\n3\n")
        output, trace = tmp_path / "out", ["--trace", tmp_path / "a.csv"]
        called("run", "sled", "--output", output, *trace)
        kept = {path.name: path.read_bytes() for path in output.iterdir()}
        again = ["--output", output, "--resume"]
        assert "batch 8 there and 4 here" in refused("run", "sled", *again, *trace, "--set", "batch=4")
        assert "system 'sled' there and 'pamdi' here" in refused("run", "pamdi", *again, "--set", "seconds=5")
        assert "there and null here" in refused("run", "sled", *again).replace("None", "null")
        (tmp_path / "a.csv").write_text("tokens\n4\n")
        assert "trace_sha256" in refused("run", "sled", *again, *trace)
        assert kept == {path.name: path.read_bytes() for path in output.iterdir()}
        assert "--resume: needs --output" in refused("run", "sled", "--resume")

    def test_records_stay(self, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("")
        assert "not empty" in refused("run", "sled", "--output", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("tokens\n", "empty"),
            ("tokens\n1\nnan\n", "step 1: nan"),
            ("tokens\n-1\n", "step 0: -1.0; must be a finite number >= 0"),
            ("words\n1\n", "no column GeneratedTokens or tokens; it has words"),
            ("tokens,b\n1\n", "row 1 has 1 values"),
            ("tokens\nx\n", "'x'"),
        ],
    )
    def test_streams_that_are_none(self, text: str, says: str, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(text)
        assert says in refused("run", "sled", "--trace", tmp_path / "a.csv")

    def test_segments_of_json(self, tmp_path: Path) -> None:
        """One of several streams, by its name."""
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"one": {"tokens": [1, 3]}, "two": {"tokens": [10]}}))
        assert "segment 'tow'; did you mean 'two'?" in refused("run", "sled", "--trace", path, "--set", "segment=tow")
        times = [
            json.loads(called("run", "sled", "--json", "--trace", path, "--set", f"segment={each}"))["policies"][0]
            for each in ("one", "two")
        ]
        assert times[1]["request_s"] == pytest.approx(5.0 * times[0]["request_s"])


def test_a_group_of_commands_can_be_registered(tmp_path: Path) -> None:
    """Another package's `typer.Typer` becomes a command of its own commands."""
    source = """
import typer
theirs = typer.Typer()
@theirs.command()
def one() -> None:
    print("one of theirs")
@theirs.command()
def two() -> None: ...
"""
    plugins = install_agents(tmp_path / "theirs", source, "[idn_gym.commands]\ntheirs = theirs:theirs\n")
    done = idn_gym("theirs", "one", plugins=plugins)
    assert (done.status, done.stdout) == (0, "one of theirs\n")


def test_checks() -> None:
    """Tolerances are those said, and levels may be open."""
    assert Check.near("n", 1.0, 1.5, 0.5, "").holds
    assert not Check.near("n", 1.0, 1.51, 0.5, "").holds
    assert Check.within("n", None, 5.0, 4.0, "").expected == "<= 5"
    assert not Check.within("n", 5.0, None, 4.0, "").holds
    assert not Check.near("n", 1.0, float(np.nan), 0.5, "").holds
