"""The JSON Schema of the files: every key explained, what is valid accepted, what is not refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from command_line import in_process

from idn_gym.library.load import load_scenario
from idn_gym.library.names import packaged_names
from idn_gym.scenario.file import to_yaml
from idn_gym.scenario.yaml_file import parse_yaml

ROOT = Path(__file__).resolve().parents[2]
# a word of its unit, in the description of every figure that has one
UNITS = {
    "size": "MB",
    "budget": "MB",
    "delay": "ms",
    "latency": "ms",
    "throughput": "requests/s",
    "rate": "requests/s",
    "accuracy": "percentage points",
    "accuracy_weight": "ms",
    "slot_seconds": ", s",
    "horizon": "slots",
    "duration": "slots",
    "period": "slots",
    "every": "slots",
    "probability": "0 to 1",
    "remaining": "0 to 1",
    "amplitude": "0 to 1",
}


def schema(kind: str) -> Any:
    """What ``idn-gym schema`` prints."""
    outcome = in_process("schema", kind)
    assert (outcome.status, outcome.stderr) == (0, "")
    return json.loads(outcome.stdout)


def validator(kind: str = "scenario") -> Any:
    """One that checks files against it."""
    document = schema(kind)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def keys(node: Any, where: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Place, name and schema of every key that some file may have."""
    if isinstance(node, dict):
        for key, about in node.get("properties", {}).items():
            yield f"{where}.{key}", key, about
        for name, inner in node.items():
            yield from keys(inner, f"{where}/{name}")
    elif isinstance(node, list):
        for n, inner in enumerate(node):
            yield from keys(inner, f"{where}/{n}")


@pytest.mark.parametrize("kind", ["scenario", "sweep"])
def test_no_key_without_a_description(kind: str) -> None:
    found = list(keys(schema(kind)))
    assert len(found) >= {"scenario": 60, "sweep": 7}[kind]
    silent = [place for place, _, about in found if not about.get("description", "").strip()]
    assert not silent
    unitless = [place for place, key, about in found if UNITS.get(key, "") not in about["description"]]
    assert not unitless


@pytest.mark.parametrize("name", packaged_names())
def test_what_is_packaged_is_valid(name: str) -> None:
    shown = in_process("show", name, "--yaml").stdout
    validator().validate(parse_yaml(shown, name))


def test_a_sweep_is_valid() -> None:
    page = (ROOT / "docs" / "sweeps.md").read_text()
    sweep = page.split("```yaml\n")[1].split("```")[0]
    validator("sweep").validate(yaml.safe_load(sweep))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("slot_seconds", 0),
        ("horizon", 1.5),
        ("budget", 3),
        ("format", "idn-gym/scenario-9"),
        ("models", []),
        ("name", "a\nb"),
        ("workload", {"kind": "zipf", "rate": -1.0}),
        ("workload", {"kind": "uniform"}),
        ("nodes", [{"name": "a", "processor": "edge", "entry": "yes"}]),
    ],
)
def test_what_is_wrong_by_itself_is_not(key: str, value: Any) -> None:
    """As `check` has it; rules over several keys are beyond a schema."""
    values = load_scenario("tiny").to_dict()
    validator().validate(values)
    assert not validator().is_valid(values | {key: value})


def test_editors_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line names a local file, and the second says how to make it."""
    monkeypatch.chdir(tmp_path)
    first, second, *rest = in_process("show", "tiny", "--yaml").stdout.splitlines()
    assert first == "# yaml-language-server: $schema=./scenario.schema.json"
    assert second.startswith("# idn-gym schema scenario > scenario.schema.json ")
    assert "\n".join(rest) + "\n" == to_yaml(load_scenario("tiny"))


def test_the_key_that_names_it_means_nothing(tmp_path: Path) -> None:
    values = load_scenario("tiny").to_dict()
    plain, named = tmp_path / "plain.json", tmp_path / "named.json"
    plain.write_text(json.dumps(values))
    named.write_text(json.dumps({"$schema": "./scenario.schema.json", **values}))
    validator().validate(json.loads(named.read_text()))
    assert load_scenario(named) == load_scenario(plain)
    assert load_scenario(named).to_dict() == values
    named.write_text(json.dumps({"$schema": 3, **values}))
    refused = in_process("check", named)
    assert (refused.status, refused.stderr) == (2, refused.stderr)
    assert "$schema: unknown key" in refused.stderr


def test_so_in_a_sweep(tmp_path: Path) -> None:
    sweep = {"format": "idn-gym/sweep-1", "scenarios": ["tiny"], "agents": ["random"], "seeds": [0]}
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps({"$schema": "./sweep.schema.json", **sweep}))
    validator("sweep").validate(json.loads(file.read_text()))
    assert in_process("check", file).stdout == f"{file}: a valid sweep file\n"
