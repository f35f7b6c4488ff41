"""Slips that `check` warns of: each from one figure in another unit, or one key in vain; none in what is packaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import in_process

from idn_gym.library.load import load_scenario
from idn_gym.library.names import packaged_names
from idn_gym.scenario import parse
from idn_gym.scenario.slips import likely_slips

TINY = load_scenario("tiny").to_dict()
MODEL = TINY["models"][0]
LINKS = TINY["links"]


def with_models(change: Any) -> dict[str, Any]:
    """Tiny with every model changed."""
    return TINY | {"models": [change(json.loads(json.dumps(model))) for model in TINY["models"]]}


def with_profiles(key: str, factor: float) -> dict[str, Any]:
    """Tiny with one figure of every profile multiplied."""

    def change(model: dict[str, Any]) -> dict[str, Any]:
        for profile in model["profiles"].values():
            profile[key] *= factor
        return model

    return with_models(change)


def with_nodes(**changes: Any) -> dict[str, Any]:
    """Tiny with keys of nodes by name changed."""
    return TINY | {"nodes": [node | changes.get(node["name"], {}) for node in TINY["nodes"]]}


PATHS = [{"task": task, "path": [bs, "co", "cloud"]} for task in TINY["tasks"] for bs in ("bs0", "bs1")]
WORKLOAD = TINY["workload"]
SOCIAL = {
    "kind": "social",
    "rate": 24.0,
    "influence": [{"source": "bs0", "target": "bs1"}],
    "leaders": ["bs0"],
    "every": 5,
}

# what slipped -> the scenario, and how the one warning about it begins
SLIPS: dict[str, tuple[dict[str, Any], str]] = {
    "accuracy as a fraction": (
        with_models(lambda model: model | {"accuracy": model["accuracy"] / 100.0}),
        "models.cars/small.accuracy: 0.4; percentage points are meant, 0 to 100: 40 for a fraction of 0.4 (and 4 more)",
    ),
    "latencies in seconds": (
        TINY | {"links": [link | {"latency": link["latency"] / 1000.0} for link in LINKS]},
        "links: no latency is above 0.04 ms; are they given in seconds?",
    ),
    "delays in seconds": (with_profiles("delay", 1e-3), "models: no delay is above 0.004 ms; are they given in"),
    "throughput 0": (
        with_models(lambda m: m | {"profiles": {k: p | {"throughput": 0.0} for k, p in m["profiles"].items()}}),
        "models.cars/small.profiles.edge.throughput: 0; placed there it serves nothing (and 9 more)",
    ),
    "rate a thousandfold": (
        TINY | {"workload": WORKLOAD | {"rate": 24000.0}},
        # per MB the small models serve most, then cars/medium: 12 + 10 + 8 in the 4 MB of co, and 6 + 5 + half of 4
        # in the 3 MB of each base station
        "workload.rate: 24000 requests/s; what is placed, whatever it is, serves at most 56",
    ),
    "a trend that nobody follows": (TINY | {"workload": SOCIAL | {"trend": 0.0}}, "workload.trend: 0; nothing spreads"),
    "nobody goes by others": (TINY | {"workload": SOCIAL | {"conformity": 0.0}}, "workload.conformity: 0; nothing"),
    "a leader whom nobody hears": (
        TINY | {"workload": SOCIAL | {"leaders": ["bs1"]}},
        "workload.leaders: 'bs1' influences nobody; its trend stays with it",
    ),
    "rate 0": (TINY | {"workload": WORKLOAD | {"rate": 0.0}}, "workload.rate: 0 requests/s"),
    "a budget in GB": (
        with_nodes(bs0={"budget": 0.003}),
        "nodes.bs0.budget: 0.003 MB; no model fits: the smallest takes 1 MB",
    ),
    "budgets in KB": (with_nodes(co={"budget": 4e3}, bs0={"budget": 3e3}, bs1={"budget": 3e3}), "nodes: every budget"),
    "no budget": (
        with_nodes(co={"budget": 0.0}, bs0={"budget": 0.0}, bs1={"budget": 0.0}),
        "nodes: none has a budget; nothing can be placed",
    ),
    "a model too large": (
        TINY
        | {
            "models": [
                *TINY["models"],
                MODEL | {"name": "huge", "profiles": {"edge": {"size": 9.0, "delay": 1.0, "throughput": 1.0}}},
            ]
        },
        "models.huge: no node can run it: it fits in no budget",
    ),
    "a processor misspelt": (
        TINY
        | {
            "models": [
                *TINY["models"],
                MODEL | {"name": "lost", "profiles": {"egde": {"size": 1.0, "delay": 1.0, "throughput": 1.0}}},
            ]
        },
        "models.lost: no node can run it: no node has a processor of its profiles",
    ),
    "requests enter at a repository": (with_nodes(cloud={"entry": True}), "nodes.cloud.entry: it holds a repository"),
    "a path of one node": (
        TINY | {"requests": [*PATHS, {"task": "cars", "path": ["cloud"]}]},
        "requests.4.path: of one node, its repository",
    ),
    "a task that nobody asks for": (
        TINY | {"requests": PATHS[:2]},
        "requests: none asks for task 'people'",
    ),
    "a node aside": (TINY | {"requests": PATHS[::2]}, "nodes.bs1: on no path of requests"),
    "a shift by all tasks": (
        TINY | {"workload": WORKLOAD | {"profile": "sliding", "shift": 4, "every": 5}},
        "workload.shift: 4; with 2 tasks popularity stays where it is",
    ),
    "a shift after the end": (
        TINY | {"workload": WORKLOAD | {"profile": "sliding", "shift": 1, "every": 20}},
        "workload.every: 20 slots; popularity does not shift within a horizon of 20",
    ),
    "provenance of nothing": (
        TINY | {"provenance": {"wrokload.rate": "made up"}},
        "provenance.wrokload.rate: no key 'wrokload' to say anything of; did you mean 'workload'?",
    ),
}


@pytest.mark.parametrize("name", packaged_names())
def test_what_is_packaged_has_none(name: str) -> None:
    outcome = in_process("check", name, "--json")
    assert json.loads(outcome.stdout) == {"ok": True, "kind": "scenario", "warnings": []}
    assert outcome.stderr == ""


def test_a_repository_of_one_stage_ends_no_chain() -> None:
    services = [{"name": "both", "stages": ["cars", "people"]}]
    held = {name: {"repository": ["cars/small"]} for name in ("bs0", "bs1")}
    assert likely_slips(parse(with_nodes(**held) | {"services": services}, "tiny")) == []


@pytest.mark.parametrize(("values", "says"), SLIPS.values(), ids=[name.replace(" ", "-") for name in SLIPS])
def test_slips(values: dict[str, Any], says: str) -> None:
    found = likely_slips(parse(values, "tiny"))
    assert len(found) == 1, found
    assert found[0].startswith(says)


def test_they_are_said_and_the_file_is_valid_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(SLIPS["accuracy as a fraction"][0]))
    outcome = in_process("check", file)
    assert (outcome.status, outcome.stdout) == (0, f"{file}: a valid scenario file\n")
    assert outcome.stderr.startswith(f"idn-gym: {file}: warning: models.cars/small.accuracy: 0.4;")
    assert outcome.stderr.count("\n") == 1
    document = json.loads(in_process("check", file, "--json").stdout)
    assert document["ok"] is True
    assert [warning.partition(":")[0] for warning in document["warnings"]] == ["models.cars/small.accuracy"]


def test_a_trace_that_counts_from_1(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("slot,task,source,requests\n1,cars,bs0,3\n2,cars,bs0,3\n")
    assert "slots count from 0; the first with requests is 1" in in_process("check", file, "--scenario", "tiny").stderr


def test_capacities_of_0(tmp_path: Path) -> None:
    file = tmp_path / "capacities.csv"
    file.write_text("slot,node,model,capacity\n0,bs0,cars/small,0\n")
    assert in_process("check", file, "--scenario", "tiny").stderr == ""  # the others are nominal
