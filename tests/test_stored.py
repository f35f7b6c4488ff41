"""Stored results are of one commit: what counts as a change, what a study goes on with, all of them by one command."""

from __future__ import annotations

import importlib
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import stored

studies: Any = importlib.import_module("all")
SCRIPT = """
import json, pathlib, sys
if sys.argv[1:] == ["fail"]:
    sys.exit("no luck")
found = {"command": " ".join(["python", *sys.argv]), "commit": "1234567", "date": "2026-11-26", "rows": [1]}
pathlib.Path("benchmarks/results/%s.json").write_text(json.dumps(found))
"""


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    done = subprocess.run(["git", *named, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_commit_is_that_of_code_and_neither_results_nor_pages_change_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "ROOT", tmp_path)
    assert stored.code_commit() == "unknown"
    git(tmp_path, "init", "-q")
    library, agent, study = (
        tmp_path / "idn_gym" / "a.py",
        tmp_path / "agents" / "b.py",
        tmp_path / "benchmarks" / "c.py",
    )
    results, page, new = study.parent / "results" / "c.json", tmp_path / "docs" / "c.md", study.with_name("new.py")
    for path in (library, agent, study, results, page):
        put(path, "1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "code")
    code = git(tmp_path, "rev-parse", "--short", "HEAD")
    put(results, "2")
    put(page, "2")
    assert stored.code_commit() == code
    git(tmp_path, "commit", "-qam", "results")
    assert stored.code_commit() == code
    put(new, "1")
    assert stored.code_commit() == f"{code}-dirty"
    new.unlink()
    put(library, "2")
    assert stored.code_commit() == f"{code}-dirty"
    git(tmp_path, "commit", "-qam", "more code")
    assert stored.code_commit() not in (code, f"{code}-dirty")


def test_code_that_changes_while_a_study_runs_makes_its_commit_dirty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BEGUN_AT", "1234567")
    monkeypatch.setattr(stored, "code_commit", lambda: "1234567")
    assert stored.stamp()["commit"] == "1234567"
    monkeypatch.setattr(stored, "code_commit", lambda: "89abcde")
    assert stored.stamp()["commit"] == "1234567-dirty"


def test_a_study_goes_on_with_what_its_own_commit_stored_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.json"
    at = {"commit": "1234567"}
    monkeypatch.setattr(stored, "code_commit", lambda: at["commit"])
    monkeypatch.setattr(stored, "BEGUN_AT", "1234567")
    assert stored.resumed(None) == stored.resumed(path) == stored.resumed(path, "a") == {}
    stored.store(path, {"rows": [1]}, "a", unfinished=True)
    stored.store(path, {"rows": [2]}, "b")
    assert stored.resumed(path, "a")["rows"] == [1]
    assert stored.read(path)["a"]["unfinished"]
    assert "unfinished" not in stored.read(path)["b"]
    for other in ("89abcde", "1234567-dirty", "unknown"):
        monkeypatch.setattr(stored, "BEGUN_AT", other)
        assert stored.resumed(path, "a") == {}
    monkeypatch.setattr(stored, "BEGUN_AT", "89abcde")
    at["commit"] = "89abcde"
    stored.store(path, {"rows": [3]}, "a")
    assert {name: (part["commit"], part["rows"]) for name, part in stored.stamped(stored.read(path)).items()} == {
        "a": ("89abcde", [3]),
        "b": ("1234567", [2]),
    }


def test_one_command_runs_what_is_not_of_this_commit_and_a_failure_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    results = tmp_path / "benchmarks" / "results"
    monkeypatch.setattr(studies, "RESULTS", results)
    monkeypatch.setattr(studies, "LOGS", tmp_path / "runs")
    monkeypatch.setattr(studies, "BEGUN_AT", "1234567")
    for name in ("first", "second", "third"):
        put(results.parent / f"{name}.py", SCRIPT % name)
    old = {
        "command": shlex.join(["python", f"{results.parent.name}/third.py"]),
        "commit": "1234567",
        "date": "2026-11-26",
        "rows": [],
    }
    put(results / "third.json", json.dumps(old))
    made = (
        studies.Study("first", 1, ("first.py fail",)),
        *(studies.Study(n, 1, (f"{n}.py",)) for n in ("second", "third")),
    )
    monkeypatch.setattr(studies, "STUDIES", made)
    monkeypatch.setattr("sys.argv", ["all.py"])
    with pytest.raises(SystemExit, match="failed: first; the same command tries these again"):
        studies.main()
    said = capsys.readouterr().out
    assert "1 of 3 are of 1234567; about 2 minutes" in said
    assert "first: FAILED with status 1: no luck" in said
    assert "second: stored" in said
    assert stored.read(results / "third.json") == old
    assert [each.name for each in made if studies.done(each)] == ["second", "third"]
    monkeypatch.setattr(studies, "BEGUN_AT", "1234567-dirty")
    with pytest.raises(SystemExit, match="commit what is changed first"):
        studies.main()


def test_every_stored_document_and_every_part_of_one_has_a_study() -> None:
    made: dict[str, set[str]] = {}
    for study in studies.STUDIES:
        made.setdefault(study.document, set()).update(study.parts)
    for path in stored.RESULTS.iterdir():
        if made[path.name]:  # else one study makes all of it
            assert set(stored.stamped(stored.read(path))) <= made[path.name], path.name
    for study in studies.STUDIES:
        for script in studies.scripts(study):
            assert (stored.ROOT / script).exists(), study.name
