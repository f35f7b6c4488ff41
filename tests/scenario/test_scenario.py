"""Scenario files: every rule as a broken file, YAML and JSON as people write them, overrides, round trips."""

from __future__ import annotations

import copy
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import scenario_values
from pydantic import ValidationError

from idn_gym.common.files import parse_json
from idn_gym.common.text import LONGEST
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.library.names import SCENARIO_OF_ID, packaged_names
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.file import from_values, read_values, to_yaml
from idn_gym.scenario.schema import Model, Profile
from idn_gym.scenario.yaml_file import parse_yaml

Values = dict[str, Any]


def valid() -> Values:
    """A scenario with one of everything."""
    return {
        "format": "idn-gym/scenario-1",
        "name": "small",
        "slot_seconds": 60.0,
        "horizon": 10,
        "replicas": 1,
        "accuracy_weight": 1.0,
        "tasks": ["cars", "people"],
        "models": [
            {
                "name": "cars/v1.0",
                "task": "cars",
                "accuracy": 40.0,
                "profiles": {
                    "gpu": {"size": 90.0, "delay": 4.0, "throughput": 240.0},
                    "big.gpu": {"size": 90.0, "delay": 2.0, "throughput": 480.0},
                },
            },
            {
                "name": "people/v1",
                "task": "people",
                "accuracy": 50.0,
                "profiles": {"big.gpu": {"size": 10, "delay": 4, "throughput": 24}},
            },
        ],
        "nodes": [
            {"name": "bs.0", "processor": "gpu", "budget": 100.0, "tier": 2, "entry": True},
            {"name": "switch", "processor": "none"},
            {"name": "cloud", "processor": "big.gpu", "repository": ["cars/v1.0", "people/v1"]},
        ],
        "links": [
            {"source": "bs.0", "target": "switch", "latency": 3.0},
            {"source": "switch", "target": "cloud", "latency": 60.0},
        ],
        "requests": [
            {"task": "cars", "path": ["bs.0", "switch", "cloud"]},
            {"task": "people", "path": ["bs.0", "switch", "cloud"]},
        ],
        "workload": {
            "kind": "burst",
            "rate": 7500.0,
            "exponent": 1.2,
            "shape": 0.5,
            "profile": "sliding",
            "shift": 1,
            "every": 60,
            "capacity": {"kind": "outages", "probability": 0.01, "duration": 5.0, "remaining": 0.5},
        },
        "provenance": {"workload.rate": "unverified"},
    }


def changed(*steps: Any, to: Any) -> Values:
    """`valid` with the value that the steps lead to replaced."""
    data = valid()
    here: Any = data
    for step in steps[:-1]:
        here = here[step]
    here[steps[-1]] = to
    return data


def without(*steps: Any) -> Values:
    data = valid()
    here: Any = data
    for step in steps[:-1]:
        here = here[step]
    del here[steps[-1]]
    return data


def refusal(data: Any) -> str:
    """What `parse` says, which is one line that names the source."""
    with pytest.raises(IdnError) as caught:
        parse(data, "f.yaml")
    says = str(caught.value)
    assert len(says.splitlines()) == 1
    assert says.startswith("f.yaml: ")
    return says.removeprefix("f.yaml: ")


def in_order(says: str, parts: tuple[str, ...]) -> None:
    """A message starts with the first part and holds the others behind it, one after the other."""
    assert says.startswith(parts[0])
    where = 0
    for part in parts:
        assert part in says[where:], f"{part!r} is not in {says!r}, or not in this order"
        where = says.index(part, where) + len(part)


def test_one_of_everything_is_valid() -> None:
    scenario = parse(valid(), "f.yaml")
    assert [node.name for node in scenario.nodes] == ["bs.0", "switch", "cloud"]
    assert scenario.models[1].profiles["big.gpu"].size == 10.0
    with pytest.raises(ValidationError, match="frozen"):
        scenario.name = "other"  # type: ignore[misc]


def test_defaults() -> None:
    data = {
        key: value for key, value in valid().items() if key in ("format", "name", "tasks", "models", "nodes", "links")
    }
    scenario = parse(data, "f.yaml")
    found = (scenario.slot_seconds, scenario.horizon, scenario.replicas, scenario.accuracy_weight)
    assert found == (60.0, 600, 1, 1.0)
    assert (scenario.requests, scenario.workload, scenario.provenance) == (None, None, {})
    node = parse(without("nodes", 0, "budget"), "f.yaml").nodes[0]
    assert (node.budget, node.repository) == (0.0, None)


# --- broken files: names and routes -----------------------------------------------------------------------------

# What is broken, and the parts of the message in order: key, value, what is allowed
NAMES = {
    "unknown task of a model": (
        changed("models", 0, "task", to="boats"),
        ("models.cars/v1.0.task: ", "'boats'", "allowed: cars, people"),
    ),
    "unknown repository model": (
        changed("nodes", 2, "repository", to=["cars/v2", "cars/v1.0", "people/v1"]),
        ("nodes.cloud.repository: ", "'cars/v2'", "allowed: cars/v1.0, people/v1"),
    ),
    "unknown source of a link": (
        changed("links", 1, "source", to="sw"),
        ("links.1.source: ", "'sw'", "allowed: bs.0, cloud, switch"),
    ),
    "unknown target of a link": (
        changed("links", 0, "target", to="sw"),
        ("links.0.target: ", "'sw'", "allowed: bs.0, cloud, switch"),
    ),
    "unknown task of a request": (
        changed("requests", 0, "task", to="boats"),
        ("requests.0.task: ", "'boats'", "allowed: cars, people"),
    ),
    "unknown node of a path": (
        changed("requests", 1, "path", to=["bs.0", "sw", "cloud"]),
        ("requests.1.path: ", "'sw'", "allowed: bs.0, switch, cloud"),
    ),
    "a task twice": (changed("tasks", to=["cars", "people", "cars"]), ("tasks: ", "'cars' twice", "allowed once")),
    "a model twice": (changed("models", 1, "name", to="cars/v1.0"), ("models: ", "'cars/v1.0' twice", "allowed once")),
    "a node twice": (changed("nodes", 1, "name", to="cloud"), ("nodes: ", "'cloud' twice", "allowed once")),
    "a model twice in a repository": (
        changed("nodes", 2, "repository", to=["people/v1", "cars/v1.0", "people/v1"]),
        ("nodes.cloud.repository: ", "'people/v1' twice", "allowed once"),
    ),
    "a model named as a replica": (
        changed("models", 1, "name", to="cars/v1.0#2") | {"replicas": 2},
        ("models: ", "'cars/v1.0#2' twice", "allowed once"),
    ),
    "a link given twice": (
        changed("links", to=[*valid()["links"], valid()["links"][0]]),
        ("links.2: ", "bs.0 - switch", "given once"),
    ),
    "a link given both ways": (
        changed("links", to=[*valid()["links"], {"source": "cloud", "target": "switch", "latency": 1.0}]),
        ("links.2: ", "cloud - switch", "given once"),
    ),
    "a link to itself": (
        changed("links", to=[*valid()["links"], {"source": "cloud", "target": "cloud", "latency": 1.0}]),
        ("links.2: ", "'cloud'", "joins two nodes"),
    ),
    "a processor nobody names, with a budget": (
        changed("nodes", 1, "budget", to=1.0),
        ("nodes.switch.processor: ", "'none'", "allowed: big.gpu, gpu"),
    ),
    "a processor nobody names, with a repository": (
        changed("nodes", 2, "processor", to="tpu"),
        ("nodes.cloud.processor: ", "'tpu'", "allowed: big.gpu, gpu"),
    ),
    "a repository model without a profile there": (
        changed("nodes", 0, "repository", to=["people/v1"]),
        ("nodes.bs.0.repository: ", "'people/v1' has no profile for 'gpu'", "it has: big.gpu"),
    ),
    "two requests with the same task and entry node": (
        changed("requests", 1, "task", to="cars"),
        ("requests.1: ", "'cars' from 'bs.0' twice", "one path per task and entry node"),
    ),
    "a path without a link": (
        changed("requests", 0, "path", to=["bs.0", "cloud"]),
        ("requests.0.path: ", "no link bs.0 - cloud", "must be linked"),
    ),
    "a path through a node twice": (
        changed("requests", 0, "path", to=["bs.0", "switch", "bs.0", "switch", "cloud"]),
        ("requests.0.path: ", "'bs.0' twice", "allowed once"),
    ),
    "a path that stays where it is": (
        changed("requests", 0, "path", to=["bs.0", "switch", "switch", "cloud"]),
        ("requests.0.path: ", "'switch' twice", "allowed once"),
    ),
    "a path that does not end at a repository": (
        changed("requests", 0, "path", to=["bs.0", "switch"]),
        ("requests.0.path: ", "'switch'", "no repository model of task 'cars'"),
    ),
    "a path that ends at a repository of another task": (
        changed("nodes", 2, "repository", to=["people/v1"]),
        ("requests.0.path: ", "'cloud'", "no repository model of task 'cars'"),
    ),
    "a task without a repository": (
        changed("nodes", 2, "repository", to=["people/v1"]) | {"requests": None},
        ("tasks: ", "'cars'", "some node must list a model of it under repository"),
    ),
    "no route to a repository": (
        changed("links", to=valid()["links"][1:]) | {"requests": None},
        ("links: ", "'bs.0'", "to a repository of task 'cars'"),
    ),
    "no node to enter at": (
        changed("nodes", to=[valid()["nodes"][2]]) | {"requests": None, "links": None},
        ("nodes: no entry node", "entry: true"),
    ),
}


@pytest.mark.parametrize("what", list(NAMES))
def test_names_and_routes(what: str) -> None:
    data, parts = NAMES[what]
    in_order(refusal(data), parts)


def test_what_a_node_without_models_may_be() -> None:
    parse(changed("nodes", 1, "processor", to="anything"), "f.yaml")
    data = changed("nodes", 1, "budget", to=0.0)
    parse(data, "f.yaml")


# --- broken files: figures --------------------------------------------------------------------------------------

PROFILE = ("models", 0, "profiles", "gpu")
CAPACITY = ("workload", "capacity")
NUMBERS: dict[str, tuple[tuple[Any, ...], float, float]] = {  # key, steps to it, and the closed range that is allowed
    "slot_seconds": (("slot_seconds",), 1e-9, math.inf),
    "accuracy_weight": (("accuracy_weight",), 0.0, math.inf),
    "models.cars/v1.0.accuracy": (("models", 0, "accuracy"), 0.0, 100.0),
    "models.cars/v1.0.profiles.gpu.size": ((*PROFILE, "size"), 1e-9, math.inf),
    "models.cars/v1.0.profiles.gpu.delay": ((*PROFILE, "delay"), 0.0, math.inf),
    "models.cars/v1.0.profiles.gpu.throughput": ((*PROFILE, "throughput"), 0.0, math.inf),
    "nodes.bs.0.budget": (("nodes", 0, "budget"), 0.0, math.inf),
    "links.0.latency": (("links", 0, "latency"), 0.0, math.inf),
    "workload.rate": (("workload", "rate"), 0.0, math.inf),
    "workload.exponent": (("workload", "exponent"), 0.0, math.inf),
    "workload.shape": (("workload", "shape"), 1e-3, math.inf),
    "workload.capacity.probability": ((*CAPACITY, "probability"), 0.0, 1.0),
    "workload.capacity.duration": ((*CAPACITY, "duration"), 1.0, math.inf),
    "workload.capacity.remaining": ((*CAPACITY, "remaining"), 0.0, 1.0),
}
COUNTS = {
    "horizon": (("horizon",), 1),
    "replicas": (("replicas",), 1),
    "nodes.bs.0.tier": (("nodes", 0, "tier"), 0),
    "workload.shift": (("workload", "shift"), 1),
    "workload.every": (("workload", "every"), 1),
}


@pytest.mark.parametrize("key", list(NUMBERS))
def test_numbers_and_their_ranges(key: str) -> None:
    steps, low, high = NUMBERS[key]
    parse(changed(*steps, to=low), "f.yaml")
    parse(changed(*steps, to=math.ceil(low)), "f.yaml")  # a whole number is a number
    parse(changed(*steps, to=min(high, 60.0)), "f.yaml")
    outside = [-1.0, -1e-9, math.nextafter(low, -1.0) if low >= 1e-3 else -5e-324]
    for value in outside:
        assert refusal(changed(*steps, to=value)).startswith(f"{key}: {value!r}; must be greater than")
    if high < math.inf:
        for value in (high + 1, math.nextafter(high, 1e3)):
            says = refusal(changed(*steps, to=value))
            assert says == f"{key}: {value!r}; must be less than or equal to {high:g}"
    for value in (math.nan, math.inf, -math.inf):
        assert refusal(changed(*steps, to=value)) == f"{key}: {value!r}; must be a finite number"
    assert refusal(changed(*steps, to=1e300)).startswith(f"{key}: 1e+300; must be less than or equal to ")
    for value in (True, False, "1", "90", "no", None, [1.0], {}, 10**400):
        says = refusal(changed(*steps, to=value))
        assert says.startswith(f"{key}: ")
        assert "must be a number" in says
        assert value == 10**400 or f"{key}: {value!r}; " in says


@pytest.mark.parametrize("key", ["slot_seconds", "models.cars/v1.0.profiles.gpu.size"])
def test_what_may_not_be_0(key: str) -> None:
    for zero in (0, 0.0, -0.0):
        assert refusal(changed(*NUMBERS[key][0], to=zero)) == f"{key}: {zero!r}; must be greater than 0"


@pytest.mark.parametrize("key", list(COUNTS))
def test_counts_are_whole(key: str) -> None:
    steps, low = COUNTS[key]
    parse(changed(*steps, to=low), "f.yaml")
    parse(changed(*steps, to=7), "f.yaml")
    for value in (low - 1, -(10**30)):
        assert refusal(changed(*steps, to=value)) == f"{key}: {value!r}; must be greater than or equal to {low}"
    for value in (10**30, 2**63):
        assert refusal(changed(*steps, to=value)).startswith(f"{key}: {value!r}; must be less than or equal to ")
    for value in (1.0, 1.5, True, "1", math.nan, [1]):
        assert refusal(changed(*steps, to=value)).startswith(f"{key}: {value!r}; must be an integer")


def test_the_largest_counts_are_harmless() -> None:
    """What validation lets through must not break compilation or drawing later."""
    from idn_gym.model.network import Network
    from idn_gym.workload.stream import draw

    data = valid()
    data["horizon"], data["workload"]["shift"], data["workload"]["every"] = 10**9, 10**9, 1
    data["nodes"][0]["tier"] = 1000
    network = Network.compile(parse(data, "f.yaml"))
    assert network.tiers.tolist() == [1000, 1, 0]
    assert draw(network, 3, seed=0).slots == 3


@pytest.mark.parametrize("slot_seconds", [60.0, 3600.0])
def test_a_slot_has_at_most_so_many_requests(slot_seconds: float) -> None:
    data = changed("workload", "rate", to=1e12 / slot_seconds)
    data["slot_seconds"] = slot_seconds
    parse(data, "f.yaml")
    data["workload"]["rate"] *= 1.01
    assert refusal(data).startswith(
        f"workload.rate: {data['workload']['rate']} requests/s; a slot may have at most 1e+12"
    )


# --- broken files: keys and kinds -------------------------------------------------------------------------------

SECTIONS: dict[str, tuple[Any, ...]] = {
    "": (),
    "models.cars/v1.0.": ("models", 0),
    "models.cars/v1.0.profiles.gpu.": PROFILE,
    "nodes.bs.0.": ("nodes", 0),
    "links.1.": ("links", 1),
    "requests.1.": ("requests", 1),
    "workload.": ("workload",),
    "workload.capacity.": CAPACITY,
}
REQUIRED = {
    "": ("format", "name", "tasks", "models", "nodes"),
    "models.cars/v1.0.": ("task", "accuracy", "profiles"),
    "models.cars/v1.0.profiles.gpu.": ("size", "delay", "throughput"),
    "nodes.bs.0.": ("processor",),
    "links.1.": ("source", "target", "latency"),
    "requests.1.": ("path",),
    "workload.": ("kind", "rate", "shape"),
    "workload.capacity.": ("kind", "probability"),
}


@pytest.mark.parametrize("section", list(SECTIONS))
def test_keys_of_each_section(section: str) -> None:
    steps = SECTIONS[section]
    for unknown in ("budgets", "Size", "x.y"):
        assert refusal(changed(*steps, unknown, to=1.0)).startswith(f"{section}{unknown}: unknown key")
    for key in REQUIRED[section]:
        assert refusal(without(*steps, key)) == f"{section}{key}: missing"
        assert refusal(changed(*steps, key, to=None)).startswith(f"{section}{key}: None")


def test_items_without_a_name_go_by_their_number() -> None:
    assert refusal(without("models", 1, "name")) == "models.1.name: missing"
    assert refusal(without("nodes", 2, "name")) == "nodes.2.name: missing"
    assert refusal(changed("nodes", 2, "name", to=7)) == "nodes.2.name: 7; must be a string"


@pytest.mark.parametrize(
    "steps",
    [
        ("tasks",),
        ("models",),
        ("nodes",),
        ("links",),
        ("requests",),
        ("nodes", 2, "repository"),
        ("requests", 0, "path"),
    ],
)
def test_lists_are_lists_and_not_empty(steps: tuple[Any, ...]) -> None:
    named = {0: "bs.0", 2: "cloud"} if steps[0] == "nodes" else {}
    key = ".".join(named.get(step, str(step)) for step in steps)
    says = refusal(changed(*steps, to=[]))
    assert says.startswith(f"{key}: []; ")
    assert "at least 1 item" in says
    for value in ("cars", 3, {"a": 1}):
        assert refusal(changed(*steps, to=value)).startswith(f"{key}: {value!r}; must be a list")


def test_a_model_has_a_profile() -> None:
    says = refusal(changed("models", 0, "profiles", to={}))
    assert says.startswith("models.cars/v1.0.profiles: {}; ")
    assert "at least 1 item" in says


@pytest.mark.parametrize(
    "name",
    ["", "a\nb", "tab\there", "bell\a", "a\x85", "a\u2028b", "\u2029", "x" * 201, "\ud800", 3, True, None, ["a"]],
)
def test_names_are_short_texts_of_one_line(name: Any) -> None:
    for steps, key in (
        (("name",), "name"),
        (("tasks", 0), "tasks.0"),
        (("nodes", 0, "processor"), "nodes.bs.0.processor"),
    ):
        assert refusal(changed(*steps, to=name)).startswith(f"{key}: {repr(name)[:57]}")
    refusal(changed("models", 0, "name", to=name))
    if isinstance(name, str):
        refusal(changed("models", 0, "profiles", name, to=valid()["models"][0]["profiles"]["gpu"]))
        refusal(changed(name, to=1))
        refusal(changed("workload", "kind", to=name))


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (changed("format", to="idn-gym/scenario-2"), ("format: 'idn-gym/scenario-2'", "allowed: 'idn-gym/scenario-1'")),
        (changed("workload", "kind", to="zip"), ("workload.kind: 'zip'", "allowed: ", "'zipf'", "'burst'", "'trace'")),
        (
            changed("workload", "profile", to="gliding"),
            ("workload.profile: 'gliding'", "allowed: 'fixed' or 'sliding'"),
        ),
        (
            changed("workload", "capacity", "kind", to="none"),
            ("workload.capacity.kind: 'none'", "allowed: ", "'constant'", "'outages'"),
        ),
        (changed("workload", "profile", to="fixed"), ("workload: shift needs profile sliding",)),
        (without("workload", "shift"), ("workload: profile sliding needs shift",)),
        (without("workload", "every"), ("workload: profile sliding needs every",)),
        (changed("workload", to={"kind": "trace"}), ("workload.requests: missing",)),
        (
            changed("workload", to={"kind": "trace", "requests": "r.csv", "rate": 3.0}),
            ("workload.rate: unknown key", "requests, capacities"),
        ),
        (
            changed("workload", to={"kind": "zipf", "rate": 1.0, "shape": 2.0}),
            ("workload.shape: unknown key", "rate, exponent"),
        ),
        (changed("workload", to="zipf"), ("workload: 'zipf'; must be ",)),
        (changed("provenance", "workload.rate", to=3), ("provenance.workload.rate: 3; must be a string",)),
        (changed("nodes", 0, "entry", to="yes"), ("nodes.bs.0.entry: 'yes'; must be a boolean",)),
        (changed("nodes", 0, "entry", to=1), ("nodes.bs.0.entry: 1; must be a boolean",)),
    ],
)
def test_kinds_and_what_they_need(data: Values, parts: tuple[str, ...]) -> None:
    in_order(refusal(data), parts)


@pytest.mark.parametrize("data", [None, [], "tiny", 3, [valid()]])
def test_a_scenario_is_a_mapping(data: Any) -> None:
    assert refusal(data).startswith("a scenario is a mapping of keys, not ")


# --- how many faults --------------------------------------------------------------------------------------------


def test_further_faults_are_counted() -> None:
    data = valid()
    data["slot_seconds"] = 0.0
    assert refusal(data) == "slot_seconds: 0.0; must be greater than 0"
    data["horizon"] = 0
    assert refusal(data) == "slot_seconds: 0.0; must be greater than 0 (and 1 more)"
    del data["nodes"][0]["name"]
    data["nodes"][1]["x"] = 1
    assert refusal(data).endswith(" (and 3 more)")

    data = valid()
    data["tasks"].append("cars")
    data["models"][0]["task"] = "boats"
    data["links"][0]["source"] = "moon"
    assert refusal(data).startswith("tasks: 'cars' twice")
    assert refusal(data).endswith(" (and 2 more)")

    data = valid()
    data["requests"][0]["path"] = ["bs.0", "cloud", "bs.0"]
    # bs.0 twice, no link there, no link back, and no repository at the end
    assert refusal(data).endswith(" (and 3 more)")


# --- YAML -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0), ("1E+3", 1000.0), ("-2.5e-3", -0.0025), (".5", 0.5), ("3.", 3.0), ("+7", 7), ("-7", -7),
        ("010", 10), ("0", 0), ("-0", 0), ("1e999", math.inf), (".inf", math.inf), ("-.INF", -math.inf),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("no", "no"), ("No", "No"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("n", "n"),
        ("1:30", "1:30"), ("1_000", "1_000"), ("0x10", "0x10"), ("0o17", "0o17"), ("2001-01-01", "2001-01-01"),
        ("1e", "1e"), ("e3", "e3"), ("1.2.3", "1.2.3"), ("=", "="), ("<<", "<<"), ("inf", "inf"), ("nan", "nan"),
        ("'1e3'", "1e3"), ('"true"', "true"), ("tRUE", "tRUE"), ("None", "None"), ("bs0", "bs0"),
    ],
)  # fmt: skip
def test_yaml_scalars(text: str, value: Any) -> None:
    found = parse_yaml(f"key: {text}\n", "f.yaml")["key"]
    assert found == value
    assert type(found) is type(value)


def test_yaml_nan_is_refused_by_the_scenario() -> None:
    assert math.isnan(parse_yaml("key: .nan", "f.yaml")["key"])
    for text, value in ((".nan", "nan"), (".inf", "inf"), ("1e999", "inf")):
        with pytest.raises(IdnError, match=f"slot_seconds: {value}; must be a finite number"):
            from_values(valid(), "f.yaml", [f"slot_seconds={text}"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "key 'a' twice (line 2, column 1)"),
        ("a: {b: 1, c: 2, b: 3}\n", "key 'b' twice (line 1, column 17)"),
        ('"a": 1\na: 2\n', "key 'a' twice"),
        ("a: &x [1]\nb: *x\n", "aliases are not allowed (line 2, column 4)"),
        ("a: &x {k: 1}\nb: {<<: *x}\n", "aliases are not allowed"),
        ("1: a\n", "keys must be strings"),
        ("true: a\n", "keys must be strings"),
        ("~: a\n", "keys must be strings"),
        ("[a, b]: c\n", "keys must be strings"),
        ("a: [1, 2\n", "(line 2, column 1)"),
        ("a: b: c\n", "(line 1, column 5)"),
        ("\ta: 1\n", "(line 1, column 1)"),
        ("a: 1\n---\nb: 2\n", "(line 2, column 1)"),
        ("a: !!python/object/apply:os.system [ls]\n", "(line 1, column 4)"),
        ("a: !!bool maybe\n", "(line 1, column 4)"),
        ("a: !!timestamp soon\n", "(line 1, column 4)"),
        ("a: !!float ''\n", "(line 1, column 4)"),
        ("a: !!set {b}\n", "(line 1, column 4)"),
        ("a: " + "[" * 51 + "]" * 51, "nested more than 50 deep"),
        ("[" * 100_000, "nested more than 50 deep"),
        ("{a: " * 100_000, "nested more than 50 deep"),
        ("a: b\0c\n", "not YAML"),
        ("a: " + "1" * 5000, "4300 digits"),
    ],
)
def test_yaml_that_is_refused(text: str, says: str) -> None:
    with pytest.raises(IdnError) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml: ")
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_yaml_of_some_depth_is_read() -> None:
    assert parse_yaml("a: " + "[" * 40 + "]" * 40, "f.yaml")["a"] is not None


# --- JSON -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "key 'a' twice; each key is allowed once"),
        ('{"a": [{"b": 1, "b": 1}]}', "key 'b' twice"),
        ('{"a": NaN}', "NaN is not a number; allowed: finite numbers"),
        ('{"a": Infinity}', "Infinity is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1,}', "not JSON: "),
        ("{'a': 1}", "not JSON: "),
        ('{"a": 01}', "not JSON: "),
        ('{"a": 1} b', "(line 1, column 10)"),
        ("", "not JSON: "),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "4300 digits"),
    ],
)
def test_json_that_is_refused(text: str, says: str) -> None:
    with pytest.raises(IdnError) as caught:
        parse_json(text, "f.json")
    assert str(caught.value).startswith("f.json: ")
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("depth", [10, 60, 300, 700, 850, 900, 950, 980, 1000, 2000])
def test_values_of_any_depth_are_refused_in_one_line(depth: int) -> None:
    with pytest.raises(IdnError) as caught:
        from_values(parse_json('{"horizon": ' + "[" * depth + "]" * depth + "}", "f.json"), "f.json")
    assert len(str(caught.value).splitlines()) == 1


def test_json_numbers_out_of_range_are_not_finite() -> None:
    with pytest.raises(IdnError, match=r"slot_seconds: inf; must be a finite number"):
        parse(valid() | parse_json('{"slot_seconds": 1e999}', "f.json"), "f.json")


# --- round trips ------------------------------------------------------------------------------------------------


def same_after_writing(scenario: Scenario) -> None:
    text = to_yaml(scenario)
    assert parse(parse_yaml(text, "y"), "y") == scenario
    assert to_yaml(parse(parse_yaml(text, "y"), "y")) == text
    assert parse(parse_json(json.dumps(scenario.to_dict()), "j"), "j") == scenario
    assert parse(scenario.to_dict(), "d") == scenario


@pytest.mark.parametrize("name", packaged_names())
def test_packaged_scenarios_round_trip(name: str) -> None:
    same_after_writing(load_scenario(name))


@settings(max_examples=30)
@given(scenario_values())
def test_random_scenarios_round_trip(values: Values) -> None:
    same_after_writing(parse(values, "drawn"))


FIGURES = st.one_of(
    st.integers(1, 10**9), st.floats(1e-300, 1e15), st.sampled_from([1e-7, 1e16 / 10, 0.1 + 0.2, 5e-324])
)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)
WORDS = st.sampled_from([
    "no", "true", "1e3", "null", "~", "", "-", "- a", "a: b", "a #b", "#a", "*a", "&a", "!a", "%a", "@a", "`a", "{a}",
    "[a]", "a,b", "'a'", '"a"', "a\\b", " a ", "?", "? a", "|", ">", "<<", "=", "2001-01-01", "0x10", "010", "1:30",
    ".inf", "---", "...", "é", "日本", "a  b", "a" * 200, " ".join(["word"] * 39), "\ufeff", "\U0001f697", "\xa0",
])  # fmt: skip


@given(data=st.data())
def test_any_names_and_figures_round_trip(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.one_of(NAME, WORDS.filter(bool)), min_size=7, max_size=7, unique=True))
    texts = data.draw(
        st.dictionaries(NAME, st.one_of(st.text(st.characters(exclude_categories=["Cs"])), WORDS), max_size=3)
    )
    figures = data.draw(st.lists(FIGURES, min_size=6, max_size=6))
    task, model, processor, one, two, name, other = names
    profile = {"size": figures[0], "delay": figures[1], "throughput": figures[2]}
    values = {
        "format": "idn-gym/scenario-1",
        "name": name,
        "slot_seconds": 60.0,
        "tasks": [task],
        "models": [{"name": model, "task": task, "accuracy": 50, "profiles": {processor: profile, other: profile}}],
        "nodes": [
            {"name": one, "processor": processor, "budget": figures[3]},
            {"name": two, "processor": processor, "repository": [model]},
        ],
        "links": [{"source": one, "target": two, "latency": figures[4]}],
        "requests": [{"task": task, "path": [one, two]}],
        "workload": {"kind": "trace", "requests": name},
        "provenance": texts,
    }
    same_after_writing(parse(values, "drawn"))


def test_yaml_has_one_line_per_item() -> None:
    lines = to_yaml(parse(valid(), "f.yaml")).splitlines()
    for name in ("cars/v1.0", "people/v1", "bs.0", "switch", "cloud"):
        assert sum(line.startswith(f"  - {{name: {name}, ") for line in lines) == 1


# --- overrides --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("workload.rate=300", lambda s: s.workload.rate, 300.0),
        ("workload.rate=1e3", lambda s: s.workload.rate, 1000.0),
        ("accuracy_weight=3", lambda s: s.accuracy_weight, 3.0),
        ("nodes.bs.0.budget=2000", lambda s: s.nodes[0].budget, 2000.0),  # the name holds a dot
        ("nodes.0.budget=2000", lambda s: s.nodes[0].budget, 2000.0),
        ("nodes.cloud.tier=0", lambda s: s.nodes[2].tier, 0),  # a key the file leaves out
        ("models.cars/v1.0.profiles.big.gpu.size=7.5", lambda s: s.models[0].profiles["big.gpu"].size, 7.5),
        ("models.people/v1.accuracy=99", lambda s: s.models[1].accuracy, 99.0),
        ("links.1.latency=0", lambda s: s.links[1].latency, 0.0),
        ("requests=null", lambda s: s.requests, None),
        ("tasks=[people, cars]", lambda s: s.tasks, ("people", "cars")),
        ("name=no", lambda s: s.name, "no"),
        ("name=a=b", lambda s: s.name, "a=b"),
        ("name='7'", lambda s: s.name, "7"),
        ("workload={kind: zipf, rate: 5}", lambda s: s.workload.rate, 5.0),
        ("workload.capacity.remaining=0", lambda s: s.workload.capacity.remaining, 0.0),
        ("provenance.workload.rate=measured", lambda s: s.provenance["workload.rate"], "measured"),
    ],
)
def test_overrides(override: str, read: Callable[[Any], Any], value: Any) -> None:
    data = valid()
    before = copy.deepcopy(data)
    assert read(from_values(data, "f.yaml", [override])) == value
    assert read(from_values(data, "f.yaml", override)) == value
    assert data == before, "the values given were changed"


def test_overrides_apply_in_order_and_as_a_mapping() -> None:
    scenario = from_values(valid(), "f.yaml", ["workload={kind: zipf, rate: 5}", "workload.rate=6", "horizon=3"])
    assert (scenario.workload.rate, scenario.horizon) == (6.0, 3)  # type: ignore[union-attr]
    twin = from_values(valid(), "f.yaml", {"workload": {"kind": "zipf", "rate": 5}, "workload.rate": 6.0, "horizon": 3})
    assert twin == scenario


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("workload.rate", "override 'workload.rate': must be KEY=VALUE, for example workload.rate=300"),
        ("=3", "override '=3': must be KEY=VALUE"),
        (
            "nodes.moon.budget=3",
            "override 'nodes.moon.budget': no 'moon' among the nodes; allowed: bs.0, switch, cloud",
        ),
        ("nodes.3.budget=3", "override 'nodes.3.budget': no '3' among the nodes; allowed: bs.0,"),
        ("nodes.-1.budget=3", "override 'nodes.-1.budget': no '-1' among the nodes; allowed: bs.0,"),
        ("slot_seconds.x=3", "override 'slot_seconds.x': slot_seconds is 60.0, which has no 'x' to set"),
        ("speed=3", "f.yaml: speed: unknown key"),
        ("nodes.bs.0.speed=3", "f.yaml: nodes.bs.0.speed: unknown key"),
        ("workload.rate=-3", "f.yaml: workload.rate: -3; must be greater than or equal to 0"),
        ("workload.rate=fast", "f.yaml: workload.rate: 'fast'; must be a number"),
        ("workload.rate=", "f.yaml: workload.rate: None; must be a number"),
        ("workload.rate='3'", "f.yaml: workload.rate: '3'; must be a number"),
        ("tasks=[cars", "override 'tasks=[cars': not YAML"),
        ("tasks=*x", "override 'tasks=*x': not YAML as allowed here: aliases are not allowed"),
        ("replicas=1.5", "f.yaml: replicas: 1.5; must be an integer"),
    ],
)
def test_overrides_that_are_refused(override: str, says: str) -> None:
    with pytest.raises(IdnError) as caught:
        from_values(valid(), "f.yaml", [override])
    assert str(caught.value).startswith(says)
    assert len(str(caught.value).splitlines()) == 1


# --- where scenarios come from ----------------------------------------------------------------------------------


def test_every_id_and_name_loads() -> None:
    assert set(SCENARIO_OF_ID.values()) <= set(packaged_names())
    assert len(SCENARIO_OF_ID) >= 9
    for id_, name in SCENARIO_OF_ID.items():
        assert load_scenario(id_).name == name
    for name in set(packaged_names()) - set(SCENARIO_OF_ID.values()):
        assert load_scenario(name).name == name
    assert load_scenario("IDN/Tiny-v0") == load_scenario("tiny")


def test_overrides_of_packaged_scenarios() -> None:
    assert load_scenario("tiny", ["nodes.bs0.budget=5"]).nodes[2].budget == 5.0
    assert load_scenario("IDN/Tiny-v0", {"nodes.bs0.budget": 5}).nodes[2].budget == 5.0
    with pytest.raises(IdnError, match=r"^tiny: nodes.bs0.budget: -5; must be"):
        load_scenario("tiny", ["nodes.bs0.budget=-5"])


@pytest.mark.parametrize("name", ["tinny", "IDN", "Tiny-v0", ""])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(IdnError) as caught:
        load_scenario(name)
    says, known = str(caught.value), packaged_names()
    assert says.startswith(f"no scenario {name!r}")
    assert len(says) <= LONGEST, "nothing of it is cut off where it is printed"
    listed = re.search(r"packaged: (.+) and (\d+) more, see idn-gym list", says)
    assert listed
    assert [*listed[1].split(", ")] == known[: len(known) - int(listed[2])]


def test_files(tmp_path: Path) -> None:
    scenario = parse(valid(), "f.yaml")
    yaml, json_, bom = tmp_path / "s.yaml", tmp_path / "s.JSON", tmp_path / "bom.yml"
    yaml.write_text(to_yaml(scenario), "utf-8")
    json_.write_text(json.dumps(valid()), "utf-8")
    bom.write_text(to_yaml(scenario).replace("\n", "\r\n"), "utf-8-sig", newline="")
    for path in (yaml, json_, bom, str(yaml)):
        assert load_scenario(path) == scenario
    assert load_scenario(yaml, ["horizon=3"]).horizon == 3
    # JSON is YAML, but not the other way round
    (tmp_path / "json.yaml").write_text(json.dumps(valid()))
    assert load_scenario(tmp_path / "json.yaml") == scenario
    (tmp_path / "yaml.json").write_text(to_yaml(scenario))
    with pytest.raises(IdnError, match=r"yaml.json: not JSON: "):
        load_scenario(tmp_path / "yaml.json")


def test_a_file_may_be_named_as_a_packaged_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").write_text(to_yaml(parse(valid(), "f.yaml")))
    monkeypatch.chdir(tmp_path)
    assert load_scenario("tiny").name == "tiny"
    assert load_scenario(os.path.join(".", "tiny")).name == "small"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        ("directory", "cannot be read: this is a folder, not a scenario file"),
        (b"name: caf\xe9\n", "not UTF-8 text (byte 9)"),
        ("name: café\n".encode("utf-16"), "not UTF-8 text (byte 0)"),
        (b"", "a scenario is a mapping of keys, not None"),
        (b"# nothing\n", "a scenario is a mapping of keys, not None"),
        (b"- tiny\n", "a scenario is a mapping of keys, not ['tiny']"),
        (b"tiny", "a scenario is a mapping of keys, not 'tiny'"),
        (b"name: tiny\n", "format: missing (and 3 more)"),
    ],
)
def test_files_that_are_no_scenario(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / "s.yaml"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(IdnError) as caught:
        load_scenario(path)
    assert str(caught.value) == f"{path}: {says}"


def test_files_that_are_too_large(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.touch()
    os.truncate(path, 64 * 2**20 + 1)  # sparse
    with pytest.raises(IdnError, match=r"s.yaml: larger than 64 MiB"):
        read_values(path)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [("cars/small", "cars", "small"), ("plain", "cars", "plain"), ("a/b/c", "a", "b/c"), ("a/b/c", "a/b", "c")],
)
def test_a_variant_is_a_name_less_its_task(name: str, task: str, expected: str) -> None:
    profiles = {"edge": Profile(size=1.0, delay=1.0, throughput=1.0)}
    assert Model(name=name, task=task, accuracy=50.0, profiles=profiles).variant == expected
