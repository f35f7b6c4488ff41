"""`topology` in a scenario file: rules counted by hand on a small graph, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from command_line import in_process
from jsonschema import Draft202012Validator

from idn_gym.errors import IdnError
from idn_gym.scenario.file import from_values, read_scenario, to_yaml
from idn_gym.scenario.graphs.rules import Written
from idn_gym.scenario.json_schema import json_schema

# hub has three links, mid two; a - b are a part of their own
#   hub - x, hub - y, hub - mid, mid - end
STAR = [("x", "hub"), ("hub", "y"), ("hub", "mid"), ("mid", "end")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graph = nx.Graph(STAR)
    for degree, node in enumerate(("x", "hub", "y")):
        graph.nodes[node].update(Latitude=0.0, Longitude=float(degree))
    graph.edges["hub", "mid"]["latency"] = 7.0
    nx.write_graphml(graph, tmp_path / "star.graphml")
    graph.add_edge("a", "b")
    nx.write_gml(graph, tmp_path / "parts.gml")
    return tmp_path


def values(**topology: Any) -> dict[str, Any]:
    profile = {"size": 10.0, "delay": 1.0, "throughput": 5.0}
    return {
        "format": "idn-gym/scenario-1",
        "name": "star",
        "tasks": ["cars"],
        "models": [
            {"name": "cars/small", "task": "cars", "accuracy": 40.0, "profiles": {"edge": profile}},
            {"name": "cars/large", "task": "cars", "accuracy": 60.0, "profiles": {"edge": profile, "core": profile}},
        ],
        "topology": {"file": "star.graphml", "latency": 3.0, "repositories": {"degree": 1}, **topology},
    }


def nodes(folder: Path, key: str, **topology: Any) -> dict[str, Any]:
    scenario = from_values(values(**{"processors": "edge", **topology}), "star", (), folder)
    return {node.name: getattr(node, key) for node in scenario.nodes}


def test_links_have_their_latency_else_that_of_light_else_the_one_given(folder: Path) -> None:
    scenario = from_values(values(processors="edge"), "star", (), folder)
    latencies = {frozenset((link.source, link.target)): link.latency for link in scenario.links or ()}
    degree = 1.11  # ms: there and back over 111.19 km of fibre
    assert latencies == {
        frozenset(("x", "hub")): degree,
        frozenset(("hub", "y")): degree,
        frozenset(("hub", "mid")): 7.0,
        frozenset(("mid", "end")): 3.0,
    }


def test_repositories(folder: Path) -> None:
    both = ("cars/small", "cars/large")
    assert nodes(folder, "repository") == {"x": None, "hub": both, "y": None, "mid": None, "end": None}
    # what has no profile for the node's processor is not held by default
    core = nodes(folder, "repository", processors={"tier": ["core", "edge"]})
    assert core["hub"] == ("cars/large",)
    chosen = nodes(folder, "repository", repositories={"given": ["x", "end"], "models": ["cars/small"]})
    assert chosen == {"x": ("cars/small",), "hub": None, "y": None, "mid": None, "end": ("cars/small",)}
    assert [node for node, held in nodes(folder, "repository", repositories={"degree": 2}).items() if held] == [
        "hub",
        "mid",
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (5.0, [5.0, 5.0, 5.0, 5.0, 5.0]),
        ({"tier": [0, 20, 30]}, [20, 0, 20, 20, 30]),  # hops from hub
        ({"tier": [0, 20]}, [20, 0, 20, 20, 20]),  # the last for all beyond
        ({"degree": [9, 4]}, [9, 9, 4, 9, 4]),  # hub 3, mid 2, then x, y, end in order: five in two shares, three first
        ({"tier": [0, 20], "given": {"end": 1.5}}, [20, 0, 20, 20, 1.5]),
        ({"given": {"mid": 8}, "otherwise": 2}, [2, 2, 2, 8, 2]),
    ],
)
def test_budgets(folder: Path, rule: Any, expected: list[float]) -> None:
    found = nodes(folder, "budget", budgets=rule)
    assert list(found) == ["x", "hub", "y", "mid", "end"]
    assert list(found.values()) == expected


def test_what_the_file_says_stays(folder: Path) -> None:
    graph = nx.Graph(STAR)
    graph.nodes["y"].update(budget=77.0, processor="core")
    nx.write_graphml(graph, folder / "star.graphml")
    assert nodes(folder, "budget", budgets=5)["y"] == 77.0
    assert nodes(folder, "processor")["y"] == "core"


def test_backbones_and_parts(folder: Path) -> None:
    assert len(nodes(folder, "budget", file="geant", latency=None)) == 22
    with pytest.raises(IdnError, match="falls into 2 parts"):
        nodes(folder, "budget", file="parts.gml")
    assert list(nodes(folder, "budget", file="parts.gml", largest_part=True)) == ["x", "hub", "y", "mid", "end"]


def test_a_file_is_beside_the_scenario_and_the_record_needs_none(folder: Path) -> None:
    (folder / "star.json").write_text(json.dumps(values(processors="edge", budgets=5)), "utf-8")
    changes = ["topology.budgets=30", "nodes.end.budget=40", "topology.latency=9"]
    scenario = read_scenario(folder / "star.json", changes)
    assert [node.budget for node in scenario.nodes] == [30, 30, 30, 30, 40]
    assert max(link.latency for link in scenario.links or ()) == 9.0
    assert "topology" not in to_yaml(scenario)
    (folder / "resolved.yaml").write_text(to_yaml(scenario), "utf-8")
    (folder / "star.graphml").unlink()
    assert read_scenario(folder / "resolved.yaml") == scenario


@pytest.mark.parametrize(
    ("topology", "says"),
    [
        ({"repositories": {"degree": 9}}, r"star: topology: repositories.degree: 9; must be at most 5"),
        ({"repositories": {"given": ["hubb"]}}, r"repositories.given: unknown node 'hubb'; did you mean 'hub'"),
        ({"repositories": {}}, r"topology.repositories: .* must have one of given .* and degree"),
        ({"budgets": {"tier": [1], "degree": [2]}}, r"topology.budgets: .* must have tier or degree \(not both\)"),
        ({"budgets": {"teir": [1]}}, r"topology.budgets.teir: unknown key; did you mean 'tier'"),
        ({"budgets": -2}, r"topology.budgets.otherwise: -2; must be greater than or equal to 0"),
        ({"budgets": {"given": {"hub": 1}}}, r"topology: budgets: nothing says that of node 'x'"),
        ({"budgets": {"given": {"no": 1}, "otherwise": 1}}, r"budgets.given: unknown node 'no'"),
        ({"processors": None}, r"topology: processors: nothing says that of node 'x'; give one for all, or a rule"),
        ({"processors": "tpu"}, r"no model has a profile for 'tpu', the processor of 'hub'"),
        ({"latency": None}, r"latency: missing, and link mid - end has none, nor coordinates"),
        ({"file": "geantt"}, r"file: 'geantt'; did you mean 'geant'\? allowed: a .gml or .graphml file, or a backbone"),
        ({"file": "none.gml"}, r"none.gml: cannot be read"),
        ({"file": None}, r"topology.file: None; must be a string"),
    ],
)
def test_refuses(folder: Path, topology: dict[str, Any], says: str) -> None:
    with pytest.raises(IdnError, match=says):
        nodes(folder, "budget", **topology)


def test_refuses_two_networks(folder: Path) -> None:
    with pytest.raises(IdnError, match="star: nodes: not beside topology"):
        from_values({**values(), "nodes": []}, "star", (), folder)


def test_the_schema_knows_it() -> None:
    validator = Draft202012Validator(json_schema(Written, "a scenario file"))
    good = [values(processors="edge", budgets={"tier": [1, 2]}), {**values(), "topology": "geant"}]
    assert [list(validator.iter_errors(value)) for value in good] == [[], []]
    assert list(validator.iter_errors(values(processors=3)))


class TestCommand:
    def test_those_inside(self) -> None:
        document = json.loads(in_process("topologies", "--json").stdout)
        # counts of SNDlib's instances
        assert [(row["file"], row["nodes"], row["links"]) for row in document["topologies"]] == [
            ("abilene", 12, 15),
            ("geant", 22, 36),
        ]

    def test_a_folder(self, folder: Path) -> None:
        (folder / "bad.gml").write_text("graph", "utf-8")
        outcome = in_process("topologies", folder)
        assert outcome.status == 0
        assert "bad.gml: not a gml graph" in outcome.stderr
        document = json.loads(in_process("topologies", folder, "--json").stdout)
        rows = {Path(row.pop("file")).name: row for row in document["topologies"]}
        assert rows["parts.gml"] == {"nodes": 7, "links": 5, "parts": 2, "degree": 3, "diameter": 3, "placed": 3}
        assert [Path(each["file"]).name for each in document["unreadable"]] == ["bad.gml"]

    def test_no_folder(self, tmp_path: Path) -> None:
        assert "no .gml or .graphml file in it" in in_process("topologies", tmp_path).stderr
        assert in_process("topologies", tmp_path / "none").status == 2
