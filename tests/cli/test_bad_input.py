"""Bad input at the command line: one line on stderr that names what is wrong, nothing on stdout, status 2.

Each case breaks one rule of a file that is otherwise valid, so that one fault, and that fault, must be reported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, idn_gym, in_process
from hypothesis import given
from hypothesis import strategies as st

from idn_gym.cli.check import check_file
from idn_gym.common.files import parse_json
from idn_gym.common.text import printable, printable_lines
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.allocation_file import parse_allocation
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.file import from_values, to_yaml
from idn_gym.scenario.yaml_file import parse_yaml

PROFILE = {"size": 1.0, "delay": 2.0, "throughput": 6.0}
GOOD: dict[str, Any] = {
    "format": "idn-gym/scenario-1",
    "name": "good",
    "slot_seconds": 1.0,
    "horizon": 3,
    "replicas": 1,
    "accuracy_weight": 1.0,
    "tasks": ["cars", "people"],
    "models": [
        {"name": "small", "task": "cars", "accuracy": 40.0, "profiles": {"edge": PROFILE, "server": PROFILE}},
        {"name": "face", "task": "people", "accuracy": 50.0, "profiles": {"server": PROFILE}},
    ],
    "nodes": [
        {"name": "bs", "processor": "edge", "budget": 2.0, "tier": 2, "entry": True},
        {"name": "hop", "processor": "switch", "budget": 0.0},  # no profile names it; it has no memory and no model
        {"name": "cloud", "processor": "server", "budget": 0.0, "repository": ["small", "face"]},
    ],
    "links": [
        {"source": "bs", "target": "hop", "latency": 5.0},
        {"source": "hop", "target": "cloud", "latency": 40.0},
    ],
    "requests": [{"task": "cars", "path": ["bs", "hop", "cloud"]}, {"task": "people", "path": ["bs", "hop", "cloud"]}],
    "workload": {"kind": "zipf", "rate": 10.0, "exponent": 1.0},
    "provenance": {"workload.rate": "made up"},
}
SLIDING = {"kind": "zipf", "rate": 10.0, "profile": "sliding", "shift": 1, "every": 2}
BURST = {"kind": "burst", "rate": 10.0, "shape": 1.0}
OUTAGES = {"kind": "outages", "probability": 0.1}
TRACE = "slot,task,source,requests\n0,cars,bs,3\n1,people,bs,0.5\n"
CAPACITIES = "slot,node,model,capacity\n0,bs,small,2\n"
ALLOCATION: dict[str, Any] = {"bs": ["small"]}

GONE = object()  # in place of a value: the key is left out

# Name of the broken rule -> dotted key and value put there, and the words that the message must have.
Change = tuple[str, Any]
RULES: dict[str, tuple[Change, str]] = {
    "format": (("format", "idn-gym/scenario-9"), "format 'idn-gym/scenario-9' allowed idn-gym/scenario-1"),
    "format left out": (("format", GONE), "format missing"),
    "name empty": (("name", ""), "name at least 1 character"),
    "name too long": (("name", "x" * 201), "name xxx at most 200"),
    "name of two lines": (("name", "a\nb"), "name 'a\\nb' one line"),
    "name a number": (("name", 3), "name 3 string"),
    "slot_seconds 0": (("slot_seconds", 0), "slot_seconds 0 greater than 0"),
    "slot_seconds negative": (("slot_seconds", -1.0), "slot_seconds -1.0 greater than 0"),
    "slot_seconds overflows": (("slot_seconds", 1e300), "slot_seconds 1e+300 less than or equal to"),
    "horizon 0": (("horizon", 0), "horizon 0 greater than or equal to 1"),
    "horizon a fraction": (("horizon", 1.5), "horizon 1.5 integer"),
    "horizon a bool": (("horizon", True), "horizon True integer"),
    "horizon huge": (("horizon", 10**100), "horizon 1000 less than or equal to"),
    "replicas 0": (("replicas", 0), "replicas 0 greater than or equal to 1"),
    "replicas huge": (("replicas", 10**12), "replicas 1000000000000 less than or equal to"),
    "accuracy_weight negative": (("accuracy_weight", -0.5), "accuracy_weight -0.5 greater than or equal to 0"),
    "accuracy_weight quoted": (("accuracy_weight", "1.0"), "accuracy_weight '1.0' number"),
    "accuracy_weight a bool": (("accuracy_weight", True), "accuracy_weight True number"),
    "accuracy_weight null": (("accuracy_weight", None), "accuracy_weight None number"),
    "unknown key": (("budget", 1), "budget unknown key allowed format name tasks models nodes links"),
    # tasks
    "tasks empty": (("tasks", []), "tasks [] at least 1"),
    "tasks left out": (("tasks", GONE), "tasks missing"),
    "tasks no list": (("tasks", "cars"), "tasks 'cars'"),
    "task twice": (("tasks", ["cars", "people", "cars"]), "tasks 'cars' twice once"),
    "task a number": (("tasks.2", 7), "tasks.2 7 string"),
    "task a bool": (("tasks.2", False), "tasks.2 False string"),
    # models
    "models empty": (("models", []), "models [] at least 1"),
    "models no list": (("models", {}), "models {}"),
    "model no mapping": (("models.2", "tiny"), "models.2 'tiny'"),
    "model without name": (("models.0.name", GONE), "models.0.name missing"),
    "model twice": (("models.2", GOOD["models"][0]), "models 'small' twice once"),
    "model of an unknown task": (("models.0.task", "bikes"), "models.small.task 'bikes' allowed cars, people"),
    "accuracy above 100": (("models.0.accuracy", 100.5), "models.small.accuracy 100.5 less than or equal to 100"),
    "accuracy negative": (("models.0.accuracy", -1), "models.small.accuracy -1 greater than or equal to 0"),
    "accuracy left out": (("models.0.accuracy", GONE), "models.small.accuracy missing"),
    "model's unknown key": (
        ("models.0.size", 1.0),
        "models.small.size unknown key allowed name task accuracy profiles",
    ),
    "profiles empty": (("models.1.profiles", {}), "models.face.profiles {} at least 1"),
    "size 0": (("models.0.profiles.edge.size", 0), "models.small.profiles.edge.size 0 greater than 0"),
    "size negative": (("models.0.profiles.edge.size", -1), "models.small.profiles.edge.size -1 greater than 0"),
    "size quoted": (("models.0.profiles.edge.size", "1"), "models.small.profiles.edge.size '1' number"),
    "delay negative": (("models.0.profiles.edge.delay", -1), "models.small.profiles.edge.delay -1 or equal to 0"),
    "throughput negative": (
        ("models.0.profiles.edge.throughput", -0.1),
        "models.small.profiles.edge.throughput -0.1 greater than or equal to 0",
    ),
    "throughput left out": (
        ("models.0.profiles.edge.throughput", GONE),
        "models.small.profiles.edge.throughput missing",
    ),
    "profile's unknown key": (
        ("models.0.profiles.edge.latency", 1.0),
        "models.small.profiles.edge.latency unknown key allowed size delay throughput",
    ),
    # nodes
    "nodes empty": (("nodes", []), "nodes [] at least 1"),
    "node twice": (("nodes.3", {"name": "hop", "processor": "switch"}), "nodes 'hop' twice once"),
    "node without processor": (("nodes.1.processor", GONE), "nodes.hop.processor missing"),
    "budget negative": (("nodes.0.budget", -1.0), "nodes.bs.budget -1.0 greater than or equal to 0"),
    "tier negative": (("nodes.0.tier", -1), "nodes.bs.tier -1 greater than or equal to 0"),
    "tier a fraction": (("nodes.0.tier", 0.5), "nodes.bs.tier 0.5 integer"),
    "entry a string": (("nodes.0.entry", "yes"), "nodes.bs.entry 'yes' boolean"),
    "entry a number": (("nodes.0.entry", 1), "nodes.bs.entry 1 boolean"),
    "node's unknown key": (("nodes.0.memory", 1.0), "nodes.bs.memory unknown key allowed name processor budget tier"),
    "processor that no profile names, with a budget": (
        ("nodes.1.budget", 1.0),
        "nodes.hop.processor 'switch' allowed edge, server",
    ),
    "processor that no profile names, with a repository": (
        ("nodes.1.repository", ["small"]),
        "nodes.hop.processor 'switch' allowed edge, server",
    ),
    "repository empty": (("nodes.2.repository", []), "nodes.cloud.repository [] at least 1"),
    "repository of an unknown model": (
        ("nodes.2.repository.2", "large"),
        "nodes.cloud.repository 'large' allowed small, face",
    ),
    "repository with a model twice": (("nodes.2.repository.2", "face"), "nodes.cloud.repository 'face' twice once"),
    "repository model without a profile there": (
        ("nodes.0.repository", ["face"]),
        "nodes.bs.repository 'face' no profile for 'edge' it has server",
    ),
    # links
    "links empty": (("links", []), "links [] at least 1"),
    "link to an unknown node": (("links.2", {"source": "bs", "target": "moon", "latency": 1}), "links.2.target 'moon'"),
    "link from an unknown node": (("links.0.source", "moon"), "links.0.source 'moon' allowed bs, cloud, hop"),
    "link to itself": (("links.2", {"source": "bs", "target": "bs", "latency": 1}), "links.2 'bs' itself"),
    "link twice": (("links.2", {"source": "bs", "target": "hop", "latency": 9}), "links.2 bs - hop twice once"),
    "link given both ways": (
        ("links.2", {"source": "hop", "target": "bs", "latency": 9}),
        "links.2 hop - bs twice once",
    ),
    "latency negative": (("links.0.latency", -5), "links.0.latency -5 greater than or equal to 0"),
    "latency left out": (("links.0.latency", GONE), "links.0.latency missing"),
    "link's unknown key": (("links.0.jitter", 1), "links.0.jitter unknown key allowed source target latency"),
    # requests
    "requests empty": (("requests", []), "requests [] at least 1"),
    "request for an unknown task": (("requests.0.task", "bikes"), "requests.0.task 'bikes' allowed cars, people"),
    "path empty": (("requests.0.path", []), "requests.0.path [] at least 1"),
    "path over an unknown node": (("requests.0.path.1", "moon"), "requests.0.path 'moon' allowed bs, hop, cloud"),
    "path without a link": (("requests.0.path", ["bs", "cloud"]), "requests.0.path no link bs - cloud"),
    "path that stays at a node": (("requests.0.path", ["bs", "bs", "hop", "cloud"]), "requests.0.path 'bs' twice"),
    "path that ends at no repository": (("requests.0.path", ["bs", "hop"]), "requests.0.path 'hop' repository 'cars'"),
    "path that ends at a repository of another task": (
        ("nodes.2.repository", ["small"]),
        "requests.1.path 'cloud' repository 'people'",
    ),
    "two requests with the same task and entry node": (
        ("requests.1.task", "cars"),
        "requests.1 'cars' from 'bs' twice one path",
    ),
    "request's unknown key": (("requests.0.rate", 1), "requests.0.rate unknown key allowed task path"),
    # workload
    "workload no mapping": (("workload", "zipf"), "workload 'zipf'"),
    "workload without kind": (("workload.kind", GONE), "workload.kind missing"),
    "workload of an unknown kind": (
        ("workload.kind", "uniform"),
        "workload.kind 'uniform' allowed 'zipf' 'burst' 'trace'",
    ),
    "rate left out": (("workload.rate", GONE), "workload.rate missing"),
    "rate negative": (("workload.rate", -1), "workload.rate -1 greater than or equal to 0"),
    "rate beyond sense": (("workload.rate", 1e13), "workload.rate 10000000000000.0 at most 1e+12"),
    "exponent negative": (("workload.exponent", -1), "workload.exponent -1 greater than or equal to 0"),
    "profile of an unknown kind": (("workload.profile", "wavy"), "workload.profile 'wavy' allowed 'fixed' 'sliding'"),
    "sliding without shift": (
        ("workload", {k: v for k, v in SLIDING.items() if k != "shift"}),
        "workload sliding shift",
    ),
    "sliding without every": (
        ("workload", {k: v for k, v in SLIDING.items() if k != "every"}),
        "workload sliding every",
    ),
    "fixed with shift": (("workload.shift", 1), "workload shift sliding"),
    "shift 0": (("workload", SLIDING | {"shift": 0}), "workload.shift 0 greater than or equal to 1"),
    "every 0": (("workload", SLIDING | {"every": 0}), "workload.every 0 greater than or equal to 1"),
    "zipf's unknown key": (
        ("workload.shape", 1),
        "workload.shape unknown key allowed kind rate exponent profile shift",
    ),
    "burst without shape": (("workload", {"kind": "burst", "rate": 1.0}), "workload.shape missing"),
    "shape 0": (("workload", BURST | {"shape": 0}), "workload.shape 0 greater than or equal to 0.001"),
    "burst's unknown key": (("workload", BURST | {"width": 1}), "workload.width unknown key allowed rate shape"),
    "trace without requests": (("workload", {"kind": "trace"}), "workload.requests missing"),
    "trace's unknown key": (
        ("workload", {"kind": "trace", "requests": "t.csv", "rate": 3}),
        "workload.rate unknown key allowed kind requests capacities",
    ),
    "amplitude above 1": (
        ("workload.diurnal", {"amplitude": 1.5, "period": 24.0}),
        "workload.diurnal.amplitude 1.5 less than or equal to 1",
    ),
    "period of a slot": (
        ("workload.diurnal", {"amplitude": 0.5, "period": 1.0}),
        "workload.diurnal.period 1.0 greater than 1",
    ),
    "diurnal's unknown key": (
        ("workload.diurnal", {"amplitude": 0.5, "period": 24.0, "phase": 1}),
        "workload.diurnal.phase unknown key allowed amplitude period",
    ),
    "crowd that makes a rate smaller": (
        ("workload.flash", {"probability": 0.1, "duration": 2.0, "factor": 0.5}),
        "workload.flash.factor 0.5 greater than or equal to 1",
    ),
    "adversary's unknown key": (
        ("workload", {"kind": "adversary", "rate": 3.0, "shape": 1}),
        "workload.shape unknown key allowed kind rate exponent keep",
    ),
    "persistence 1": (
        ("workload", BURST | {"persistence": 1.0}),
        "workload.persistence 1.0 less than 1",
    ),
    "capacity of an unknown kind": (
        ("workload.capacity", {"kind": "flaky"}),
        "workload.capacity.kind 'flaky' allowed 'constant' 'outages'",
    ),
    "outages without probability": (
        ("workload.capacity", {"kind": "outages"}),
        "workload.capacity.probability missing",
    ),
    "probability above 1": (
        ("workload.capacity", OUTAGES | {"probability": 1.5}),
        "workload.capacity.probability 1.5 less than or equal to 1",
    ),
    "duration below a slot": (
        ("workload.capacity", OUTAGES | {"duration": 0.5}),
        "workload.capacity.duration 0.5 greater than or equal to 1",
    ),
    "remaining above 1": (
        ("workload.capacity", OUTAGES | {"remaining": 2}),
        "workload.capacity.remaining 2 less than or equal to 1",
    ),
    "outages' unknown key": (
        ("workload.capacity", OUTAGES | {"nodes": 2}),
        "workload.capacity.nodes unknown key allowed kind probability duration remaining",
    ),
    "constant's unknown key": (
        ("workload.capacity", {"kind": "constant", "value": 2}),
        "workload.capacity.value unknown key allowed kind",
    ),
    "provenance no text": (("provenance", {"workload.rate": 3}), "provenance workload.rate 3 string"),
    "provenance no mapping": (("provenance", ["workload.rate"]), "provenance 'workload.rate'"),
}

# The same for rules about the whole file: several changes at once.
WHOLE: dict[str, tuple[list[Change], str]] = {
    "task without repository": (
        [("requests", GONE), ("nodes.2.repository", ["small"])],
        "tasks 'people' no repository",
    ),
    "entry node without a route": (
        [("requests", GONE), ("links", [GOOD["links"][1]])],
        "links no route from 'bs' to a repository of task 'cars' and 1 more",
    ),
    "no entry node": (
        [("requests", GONE), ("nodes", GOOD["nodes"][2:]), ("links", GONE)],
        "nodes no entry node entry: true",
    ),
    "path through a node twice": (
        [
            ("links.2", {"source": "bs", "target": "cloud", "latency": 9}),
            ("requests.0.path", ["bs", "hop", "bs", "cloud"]),
        ],
        "requests.0.path 'bs' twice once",
    ),
    "path through two nodes twice": (
        [("requests.0.path", ["bs", "hop", "bs", "hop", "cloud"])],
        "requests.0.path 'bs' twice once (and 1 more)",
    ),
    "replica with another model's name": (
        [("replicas", 2), ("models.1.name", "small#2"), ("nodes.2.repository", ["small", "small#2"])],
        "models 'small#2' twice",
    ),
    "several faults": (
        [("slot_seconds", 0), ("models.0.accuracy", 101), ("nodes.0.budget", -1)],
        "slot_seconds 0 greater than 0 (and 2 more)",
    ),
    "several faults between keys": (
        [("tasks", ["cars", "people", "cars"]), ("links.0.source", "moon")],
        "tasks 'cars' twice (and 1 more)",
    ),
}

# A scenario's text, as YAML
YAML = """\
format: idn-gym/scenario-1
name: yaml
tasks: [cars]
models: [{name: small, task: cars, accuracy: 40.0, profiles: {server: {size: 1.0, delay: 2.0, throughput: 6.0}}}]
nodes: [{name: cloud, processor: server, repository: [small], entry: true}]
workload: {kind: zipf, rate: 10.0}
"""
TEXTS: dict[str, tuple[str | bytes, str]] = {
    "alias": (YAML.replace("[cars]", "[&c cars, *c]"), "aliases not allowed line 3"),
    "tag": (YAML.replace("name: yaml", "name: !!timestamp 2001-01-01"), "tags not allowed line 2"),
    "tag that runs code": (YAML + "x: !!python/object/apply:os.getcwd []\n", "tags not allowed line 7"),
    "key twice": (YAML + "name: other\n", "'name' twice line 7"),
    "key twice, once quoted": (YAML + "'name': other\n", "'name' twice line 7"),
    "key twice, further in": (YAML.replace("rate: 10.0", "rate: 10.0, rate: 11.0"), "'rate' twice line 6"),
    "key a number": (YAML + "1: 2\n", "keys strings line 7"),
    "key a list": (YAML + "[a]: 2\n", "keys strings line 7"),
    "merge key": (YAML + "<<: {horizon: 3}\n", "<< unknown key allowed"),
    "unclosed": (YAML + "links: [\n", "line 8"),
    "tab": (YAML + "\thorizon: 3\n", "line 7"),
    "two documents": (YAML + "---\nname: other\n", "another document line 7"),
    "too deep": ("a: " + "[" * 60 + "]" * 60, "50 deep line 1"),
    "too deep for any stack": ("[" * 200_000, "50 deep line 1"),
    "too deep in blocks": ("\n".join(" " * n + "a:" for n in range(200)), "50 deep line 51"),
    "empty": ("", "mapping None"),
    "only a comment": ("# nothing\n", "mapping None"),
    "a list": ("- 1\n", "mapping [1]"),
    "a word": ("abc\n", "mapping 'abc'"),
    "not UTF-8": (YAML.encode() + b"# \xff\n", "not UTF-8 byte"),
    "UTF-16": (YAML.encode("utf-16"), "not UTF-8 byte 0"),
    "a NUL": (YAML.encode() + b"\0", "not YAML control characters"),
    "nan": (YAML.replace("10.0", ".nan"), "workload.rate nan finite"),
    "infinity": (YAML.replace("10.0", "-.inf"), "workload.rate -inf finite"),
    "beyond float64": (YAML.replace("10.0", "1e999"), "workload.rate inf finite"),
    "NaN, which YAML reads as text": (YAML.replace("10.0", "NaN"), "workload.rate 'NaN' number"),
    "400 digits": (YAML.replace("10.0", "9" * 400), "workload.rate 9999 number"),
    "5000 digits": (YAML.replace("10.0", "9" * 5000), "5000 digits"),
    "hexadecimal": (YAML.replace("10.0", "0x10"), "workload.rate '0x10' number"),
    "underscores": (YAML.replace("10.0", "1_000"), "workload.rate '1_000' number"),
    "base 60": (YAML.replace("10.0", "1:30"), "workload.rate '1:30' number"),
    "quoted number": (YAML.replace("10.0", '"10.0"'), "workload.rate '10.0' number"),
    "yes for a bool": (YAML.replace("entry: true", "entry: yes"), "nodes.cloud.entry 'yes' boolean"),
    "no for a bool": (YAML.replace("entry: true", "entry: no"), "nodes.cloud.entry 'no' boolean"),
    "on for a bool": (YAML.replace("entry: true", "entry: on"), "nodes.cloud.entry 'on' boolean"),
    "nothing for a number": (YAML.replace("rate: 10.0", "rate: null"), "workload.rate None number"),
}
JSON = json.dumps(GOOD)
JSON_TEXTS: dict[str, tuple[str, str]] = {
    "NaN": (JSON.replace('"rate": 10.0', '"rate": NaN'), "workload.rate: NaN finite numbers (line 1)"),
    "Infinity": (JSON.replace('"rate": 10.0', '"rate": Infinity'), "workload.rate: Infinity finite numbers (line 1)"),
    "-Infinity": (JSON.replace('"rate": 10.0', '"rate": -Infinity'), "workload.rate: -Infinity finite numbers"),
    "NaN in an item, behind texts that say so": (
        json.dumps(GOOD | {"name": 'NaN "NaN\\'}, indent=1).replace('"latency": 40.0', '"latency": NaN'),
        "links.1.latency: NaN finite numbers (line 75)",
    ),
    "NaN alone": ("\n\n NaN", "NaN finite numbers (line 3)"),
    "two of them": (
        JSON.replace('"rate": 10.0', '"rate": NaN').replace('"budget": 2.0', '"budget": Infinity'),
        "nodes.bs.budget: Infinity finite numbers",
    ),
    "NaN under a key that is a control sequence": (
        JSON[:-1] + ', "\\u001b[2J": NaN}',
        "'\\x1b[2J': NaN finite numbers",
    ),
    "beyond float64": (JSON.replace('"rate": 10.0', '"rate": 1e999'), "workload.rate inf finite"),
    "400 digits": (JSON.replace('"rate": 10.0', '"rate": ' + "9" * 400), "workload.rate 9999 number"),
    "5000 digits": (JSON.replace('"rate": 10.0', '"rate": ' + "9" * 5000), "5000 digits"),
    "key twice": (JSON[:-1] + ', "name": "other"}', "'name' twice once"),
    "text behind": (JSON + "x", "not JSON Extra data line 1"),
    "comma at the end": (JSON[:-1] + ",}", "not JSON line 1"),
    "single quotes": ("{'format': 1}", "not JSON line 1 column 2"),
    "empty": ("", "not JSON line 1"),
    "null": ("null", "mapping None"),
    "too deep": ("[" * 100_000, "too deeply"),
    "lone surrogate": (JSON.replace('"good"', '"\\ud800"'), "name string unicode"),
    "bool for a number": (JSON.replace('"rate": 10.0', '"rate": true'), "workload.rate True number"),
}

HEADER = "slot,task,source,requests\n"
TRACES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "columns '' must be slot,task,source,requests"),
    "only the columns": (HEADER, "no requests at least one row"),
    "columns in another order": (
        TRACE.replace("slot,task", "task,slot"),
        "'task,slot, must be slot,task,source,requests",
    ),
    "a column less": ("slot,task,source\n0,cars,bs\n", "'slot,task,source' must be slot,task,source,requests"),
    "a column more": ("slot,task,source,requests,note\n0,cars,bs,1,x\n", "requests,note must be slot,task"),
    "no columns": ("0,cars,bs,3\n", "'0,cars,bs,3' must be slot,task,source,requests"),
    "semicolons": (TRACE.replace(",", ";"), "'slot;task;source;requests' must be slot,task,source,requests"),
    "unknown task": (TRACE + "2,bikes,bs,1\n", ":4 task 'bikes' allowed cars, people"),
    "unknown source": (TRACE + "2,cars,moon,1\n", ":4 source 'moon' entry node"),
    "source that is no entry node": (TRACE + "2,cars,hop,1\n", ":4 'cars' from 'hop'"),
    "space before a name": (TRACE + "2, cars,bs,1\n", ":4 task ' cars' allowed cars, people"),
    "slot negative": (TRACE + "-1,cars,bs,1\n", ":4 slot '-1' whole number >= 0"),
    "slot a fraction": (TRACE + "0.5,cars,bs,1\n", ":4 slot '0.5' whole number >= 0"),
    "slot no number": (TRACE + "two,cars,bs,1\n", ":4 slot 'two' whole number >= 0"),
    "slot in other digits": (TRACE + "\N{SUPERSCRIPT TWO},cars,bs,1\n", ":4 slot whole number >= 0"),
    "slot left out": (TRACE + ",cars,bs,1\n", ":4 slot '' whole number >= 0"),
    "slot beyond memory": (TRACE + "999999999999,cars,bs,1\n", "1000000000000 slots at most"),
    "slot of 13 digits": (TRACE + "9999999999999,cars,bs,1\n", ":4 slot '9999999999999' at most 12 digits"),
    "requests negative": (TRACE + "2,cars,bs,-1\n", ":4 requests '-1' number from 0"),
    "requests nan": (TRACE + "2,cars,bs,nan\n", ":4 requests 'nan' number from 0"),
    "requests infinite": (TRACE + "2,cars,bs,inf\n", ":4 requests 'inf' number from 0"),
    "requests beyond float64": (TRACE + "2,cars,bs,1e999\n", ":4 requests '1e999' number from 0"),
    "requests beyond float32": (TRACE + "2,cars,bs,1e39\n", ":4 requests '1e39' number from 0"),
    "requests no number": (TRACE + "2,cars,bs,many\n", ":4 requests 'many' number from 0"),
    "requests left out": (TRACE + "2,cars,bs,\n", ":4 requests '' number from 0"),
    "requests with underscores": (TRACE + "2,cars,bs,1_000\n", ":4 requests '1_000' number from 0"),
    "requests in other digits": (TRACE + "2,cars,bs,\N{ARABIC-INDIC DIGIT THREE}\n", ":4 requests number from 0"),
    "row too short": (TRACE + "2,cars,bs\n", ":4 3 values must be slot,task,source,requests"),
    "row too long": (TRACE + "2,cars,bs,1,1\n", ":4 5 values must be slot,task,source,requests"),
    "same row twice": (TRACE + "0,cars,bs,3\n", ":4 slot 0, task cars, source bs twice"),
    "same row twice, spelt otherwise": (TRACE + "00,cars,bs,4\n", ":4 slot 0, task cars, source bs twice"),
    "quote not closed": (TRACE + '2,"cars,bs,1\n', ":4 not CSV"),
    "text behind a quote": (TRACE + '2,"cars"x,bs,1\n', ":4 not CSV"),
    "carriage return in a name": (TRACE + "2,ca\rrs,bs,1\n", ":4 not CSV"),
    "lines end in carriage returns": (TRACE.replace("\n", "\r"), ":1 not CSV"),
    "field without end": ("x" * 200_000, "not CSV field"),
    "not UTF-8": (TRACE.encode() + b"2,c\xff,bs,1\n", "not UTF-8 byte"),
    "a NUL": (TRACE + "2,cars,bs,1\0\n", ":4 requests '1\\x00' number from 0"),
}
CAPACITY_FILES: dict[str, tuple[str | bytes, str]] = {
    "unknown node": (CAPACITIES + "1,moon,small,1\n", ":3 node 'moon' allowed bs, hop, cloud"),
    "unknown model": (CAPACITIES + "1,bs,large,1\n", ":3 model 'large' allowed small, face"),
    "model that cannot run there": (CAPACITIES + "1,bs,face,1\n", ":3 face at bs cannot run"),
    "repository model": (CAPACITIES + "1,cloud,face,1\n", ":3 face at cloud repository"),
    "replica that is not offered": (CAPACITIES + "1,bs,small#2,1\n", ":3 model 'small#2' allowed small, face"),
    "capacity negative": (CAPACITIES + "1,bs,small,-1\n", ":3 capacity '-1' number from 0"),
    "capacity nan": (CAPACITIES + "1,bs,small,NaN\n", ":3 capacity 'NaN' number from 0"),
    "capacity infinite": (CAPACITIES + "1,bs,small,Infinity\n", ":3 capacity 'Infinity' number from 0"),
    "capacity left out": (CAPACITIES + "1,bs,small\n", ":3 3 values must be slot,node,model,capacity"),
    "slot negative": (CAPACITIES + "-1,bs,small,1\n", ":3 slot '-1' whole number >= 0"),
    "same row twice": (CAPACITIES + "0,bs,small,3\n", ":3 slot 0, node bs, model small twice"),
    "slot beyond memory": (CAPACITIES + "999999999999,bs,small,1\n", "1000000000000 slots at most"),
}
ALLOCATIONS: dict[str, tuple[str, str]] = {
    "a list": ('["bs"]', "allocation node models list"),
    "a word": ('"bs"', "allocation node models str"),
    "null": ("null", "allocation node models None"),
    "unknown node": ('{"moon": ["small"]}', "node 'moon' allowed bs, hop, cloud"),
    "unknown model": ('{"bs": ["large"]}', "bs model 'large' allowed small, face"),
    "model that cannot run there": ('{"bs": ["face"]}', "face bs cannot run profile"),
    "replica that is not offered": ('{"bs": ["small#2"]}', "bs model 'small#2' allowed small, face"),
    "model twice": ('{"bs": ["small", "small"]}', "bs 'small' twice"),
    "node twice": ('{"bs": ["small"], "bs": []}', "'bs' twice once"),
    "model twice, with fractions": ('{"bs": {"small": 0.5, "small": 0.25}}', "'small' twice once"),
    "held no list": ('{"bs": "small"}', "bs 'small' list {model: fraction}"),
    "held null": ('{"bs": null}', "bs None list {model: fraction}"),
    "held numbers": ('{"bs": [1]}', "bs [1] list {model: fraction}"),
    "fraction above 1": ('{"bs": {"small": 1.5}}', "bs.small 1.5 [0, 1]"),
    "fraction negative": ('{"bs": {"small": -0.5}}', "bs.small -0.5 [0, 1]"),
    "fraction NaN": ('{\n"bs": {"small": NaN}}', "bs.small: NaN finite numbers (line 2)"),
    "fraction of 400 digits": ('{"bs": {"small": ' + "9" * 400 + "}}", "bs.small: 9999 [0, 1]"),
    "very many unknown models": (json.dumps({"bs": [f"m{i}" for i in range(20_000)]}), "bs model 'm0' allowed small"),
    "a name without end": (json.dumps({"b" * 100_000: []}), "node 'bbb allowed bs"),
    "fraction infinite": ('{"bs": {"small": 1e999}}', "bs.small inf [0, 1]"),
    "fraction a bool": ('{"bs": {"small": true}}', "bs.small True [0, 1]"),
    "fraction quoted": ('{"bs": {"small": "0.5"}}', "bs.small '0.5' [0, 1]"),
    "fraction null": ('{"bs": {"small": null}}', "bs.small None [0, 1]"),
    "fraction of a repository model": ('{"cloud": {"face": 2}}', "cloud.face 2 [0, 1]"),
    "not JSON": ('{"bs": ["small"]', "not JSON line 1"),
    "lone surrogate": ('{"\\ud800": []}', "node '\\ud800' allowed"),
}
# Over tiny, whose base stations have 3 MB, the central office 4 MB and the cloud none
OVER_BUDGET: dict[str, tuple[Any, str]] = {
    "integral": ({"bs0": ["cars/small", "cars/large"]}, "bs0 4 MB budget 3 MB"),
    "fractional": ({"co": {"cars/medium": 1, "cars/large": 0.75}}, "co 4.25 MB budget 4 MB"),
    "no budget at all": ({"cloud": ["cars/small"]}, "cloud 1 MB budget 0 MB"),
    "by more than rounding": ({"bs0": {"cars/small": 1e-6, "cars/large": 1}}, "bs0 budget 3 MB"),
}

OVERRIDES: dict[str, str] = {
    "workload.rate": "override 'workload.rate' KEY=VALUE",
    "=3": "override '=3' KEY=VALUE",
    "rate=3": "rate unknown key allowed",
    "workload.rates=3": "workload.rates unknown key allowed kind rate",
    "workload.rate=-1": "workload.rate -1 greater than or equal to 0",
    "workload.rate=many": "workload.rate 'many' number",
    "workload.rate=": "workload.rate None number",
    "workload.rate='3'": "workload.rate '3' number",
    "workload.rate=true": "workload.rate True number",
    "workload.rate=.nan": "workload.rate nan finite",
    "workload.rate=[": "override 'workload.rate=[' not YAML",
    "workload.rate=*a": "override 'workload.rate=*a' aliases",
    "workload.kind=burst": "workload.shape missing",
    "workload=3": "workload 3",
    "nodes.moon.budget=3": "override 'nodes.moon.budget' 'moon' allowed cloud, co, bs0, bs1",
    "nodes.9.budget=3": "override 'nodes.9.budget' '9' allowed cloud,",
    "nodes.bs0.budget=-1": "nodes.bs0.budget -1 greater than or equal to 0",
    "nodes.bs0.memory=1": "nodes.bs0.memory unknown key allowed budget",
    "nodes.bs0=3": "nodes 3",
    "models.cars/small.accuracy=101": "models.cars/small.accuracy 101 less than or equal to 100",
    "name.first=x": "override 'name.first' 'first'",
    "tasks=[]": "tasks [] at least 1",
    "replicas=0": "replicas 0 greater than or equal to 1",
    "slot_seconds=0": "slot_seconds 0 greater than 0",
    "." * 3000 + "=1": "override more than 50 keys deep",
    "a." * 3000 + "b=1": "override more than 50 keys deep",
    "workload." * 3000 + "=1": "override more than 50 keys deep",
    "nodes.bs0" + "." * 3000 + "x=1": "override more than 50 keys deep",
    "nodes." + "bs0." * 3000 + "=1": "override more than 50 keys deep",
    "models." + "x." * 3000 + "=1": "override no 'x' among models allowed",
    "x" * 100_000 + "=1": "xxx unknown key allowed format",
    "name=" + "x" * 100_000: "name 'xxx at most 200 characters",
    "tasks=[" + "a, " * 50_000 + "b]": "tasks 'a' twice more)",
}

# Whole commands over files in a folder of good ones; see `folder`
COMMANDS: dict[str, tuple[str, str]] = {
    "scenario that is not packaged": ("run nosuch --agent random", "'nosuch' packaged abilene-sliding list suffix"),
    "id that is not registered": ("show IDN/Nosuch-v0", "id IDN/Nosuch-v0 allowed IDN/Tiny-v0"),
    "scenario file that is missing": ("show nosuch.yaml", "nosuch.yaml cannot be read"),
    "scenario file that is a folder": ("show ./folder.csv", "folder.csv cannot be read"),
    "scenario file that is broken, to run": ("run broken.json --agent random", "broken.json horizon 0"),
    "scenario file that is broken, to evaluate": (
        "evaluate broken.json --allocation allocation.json --requests trace.csv",
        "broken.json horizon 0",
    ),
    "scenario file that is broken, for a trace": ("trace broken.json", "broken.json horizon 0"),
    "scenario file that is broken, with --json": ("run broken.json --agent random --json", "broken.json horizon 0"),
    "checked file that is missing": ("check nosuch.yaml", "nosuch.yaml cannot be read"),
    "checked trace that is missing": ("check nosuch.csv --scenario good.json", "nosuch.csv cannot be read"),
    "checked file that is a folder": ("check .", ". cannot be read"),
    "checked folder named as a file": ("check folder.csv --scenario good.json", "folder.csv cannot be read"),
    "scenario that is a pipe": ("show pipe.json", "pipe.json cannot be read pipe regular file"),
    "trace that is a pipe": ("run tiny --agent random --trace pipe.json", "pipe.json cannot be read regular file"),
    "checked file that is a pipe": ("check pipe.json", "pipe.json cannot be read regular file"),
    "checked file that is a device": ("check /dev/zero", "/dev/zero cannot be read regular file"),
    "allocation that is a pipe": (
        "evaluate good.json --allocation pipe.json --requests trace.csv",
        "pipe.json cannot be read regular file",
    ),
    "checked trace without its scenario": ("check trace.csv", "trace.csv --scenario"),
    "checked capacities without their scenario": ("check capacities.csv", "capacities.csv --scenario"),
    "checked allocation without its scenario": ("check allocation.json", "allocation.json --scenario"),
    "checked trace for a broken scenario": ("check trace.csv --scenario broken.json", "broken.json horizon 0"),
    "checked with --json": ("check broken.json --json", "broken.json horizon 0"),
    "trace of another scenario": ("check trace.csv --scenario tiny", "trace.csv:2 'bs' entry node"),
    "no workload to draw from": ("run silent.json --agent random", "good no workload trace"),
    "no workload for a trace": ("trace silent.json", "good no workload"),
    "workload whose trace is missing": ("run replay.json --agent random", "nosuch.csv cannot be read"),
    "agent that is not registered": ("run tiny --agent nosuch", "agent 'nosuch' registered infida random"),
    "agent with an unknown parameter": (
        "run tiny --agent infida:nope=1",
        "infida 'nope' allowed learning_rate refresh",
    ),
    "agent that takes none": ("run tiny --agent repository-only:a=1", "repository-only 'a' allowed none"),
    "parameter with a word not allowed": (
        "run tiny --agent infida:learning_rate=foo",
        "infida learning_rate 'foo' allowed scale-free, theory",
    ),
    "parameter negative": ("run tiny --agent infida:learning_rate=-1", "infida learning_rate -1 number >= 0"),
    "parameter 0": ("run tiny --agent infida:refresh=0", "infida refresh 0 whole number >= 1"),
    "parameter a fraction": ("run tiny --agent infida:refresh=1.5", "infida refresh 1.5 whole number >= 1"),
    "parameter a bool": ("run tiny --agent random:refresh=true", "random refresh True whole number >= 1"),
    "parameter nan": ("run tiny --agent infida:scale=.nan", "infida scale nan number >= 0"),
    "parameter without a value": ("run tiny --agent infida:refresh", "'infida:refresh' key=value"),
    "parameter twice": ("run tiny --agent infida:refresh=1,refresh=2", "'infida:refresh=1,refresh=2' once"),
    "parameter that is no YAML": ("run tiny --agent infida:refresh=[", "'infida:refresh=[' not YAML"),
    "same agent twice": ("run tiny --agent random --agent random", "same agent twice"),
    "wrong second agent, before the first plays": (
        "run tiny --agent random --agent nosuch",
        "agent 'nosuch' registered",
    ),
    "more slots than the trace": ("run good.json --agent random --trace trace.csv --slots 3", "3 slots trace has 2"),
    "trace broken": ("run good.json --agent random --trace broken.csv", "broken.csv:2 requests '-1'"),
    "trace missing": ("run good.json --agent random --trace nosuch.csv", "nosuch.csv cannot be read"),
    "capacities without a trace": ("run good.json --agent random --capacities capacities.csv", "capacities.csv trace"),
    "capacities beyond the trace": (
        "run good.json --agent random --trace trace.csv --capacities late.csv",
        "late.csv:2 slot 2 trace ends with slot 1",
    ),
    "more slots than memory": ("run tiny --agent random --slots 999999999999", "slots 999999999999 at most"),
    "a trace of more slots than memory": ("trace tiny --slots 999999999999", "slots 999999999999 at most"),
    "resume without a folder": ("run tiny --agent random --resume", "--resume --output"),
    "output in a file": ("run tiny --agent random --output trace.csv", "trace.csv is a file folder"),
    "output in a folder that is not empty": ("run tiny --agent random --output full", "full not empty --resume"),
    "resume in a folder of something else": ("run tiny --agent random --output full --resume", "full no run"),
    "evaluate a broken allocation": (
        "evaluate good.json --allocation broken-allocation.json --requests trace.csv --json",
        "broken-allocation.json bs.small 2 [0, 1]",
    ),
    "evaluate a missing allocation": (
        "evaluate good.json --allocation nosuch.json --requests trace.csv",
        "nosuch.json cannot be read",
    ),
    "evaluate a broken trace": (
        "evaluate good.json --allocation allocation.json --requests broken.csv",
        "broken.csv:2 requests '-1'",
    ),
    "evaluate with capacities beyond the trace": (
        "evaluate good.json --allocation allocation.json --requests trace.csv --capacities late.csv",
        "late.csv:2 slot 2 trace ends with slot 1",
    ),
    "optimum of a broken scenario": ("optimum broken.json", "broken.json horizon 0"),
    "optimum over a broken trace": ("optimum good.json --trace broken.csv", "broken.csv:2 requests '-1'"),
    "optimum of more slots than the trace": ("optimum good.json --trace trace.csv --slots 3", "3 slots trace has 2"),
    "override without a value": ("evaluate tiny --set x --allocation a --requests r", "override 'x' KEY=VALUE"),
}
USAGE: dict[str, tuple[str, str]] = {
    "command": ("nosuch", "command 'nosuch' idn-gym --help"),
    "command misspelt": ("chek", "'chek' 'check'"),
    "no agent": ("run tiny", "--agent idn-gym run --help"),
    "no scenario": ("run --agent random", "SCENARIO"),
    "too much": ("run tiny tiny --agent random", "extra tiny idn-gym run --help"),
    "slots 0": ("run tiny --agent random --slots 0", "--slots '0' greater than or equal to 1"),
    "slots negative": ("trace tiny --slots -1", "--slots '-1' idn-gym trace --help"),
    "slots no number": ("run tiny --agent random --slots few", "--slots 'few' integer"),
    "slots left out": ("run tiny --agent random --slots", "option '--slots' argument"),
    "flag with a value": ("check tiny --json=3", "option '--json' value"),
    "seed negative": ("run tiny --agent random --seed -1", "--seed '-1'"),
    "option": ("run tiny --agent random --sluts 3", "'--sluts' did you mean '--slots'? see idn-gym run --help"),
    "option like none": ("run tiny --agent random --xyzzy", "'--xyzzy' see idn-gym run --help"),
    "kind of schema": ("schema trace", "'trace' 'scenario' 'sweep' idn-gym schema --help"),
    "gap above 1": ("optimum tiny --gap 1.5", "--gap"),
    "gap negative": ("optimum tiny --gap -0.1", "--gap"),
    "time limit negative": ("optimum tiny --time-limit -1", "--time-limit"),
}
PROCESSES = [  # those that are also run as processes of their own, one of each kind
    "scenario that is not packaged",
    "scenario file that is broken, with --json",
    "checked file that is a folder",
    "checked with --json",
    "agent with an unknown parameter",
    "more slots than the trace",
    "output in a folder that is not empty",
    "evaluate a broken allocation",
    "optimum over a broken trace",
    "override without a value",
]


def changed(*changes: Change) -> dict[str, Any]:
    """The good scenario with values put at dotted keys."""
    data = json.loads(JSON)
    for dotted, value in changes:
        *way, last = dotted.split(".")
        here: Any = data
        for step in way:
            here = here[int(step)] if isinstance(here, list) else here[step]
        if isinstance(here, list):
            here[int(last) :] = [value, *here[int(last) + 1 :]]
        elif value is GONE:
            del here[last]
        else:
            here[last] = value
    return data


def refused(outcome: Outcome, says: str) -> None:
    """One line on stderr with all these words (separated by spaces), nothing on stdout, status 2."""
    assert outcome.stdout == ""
    assert outcome.stderr.endswith("\n")
    assert outcome.stderr.count("\n") == 1, outcome.stderr
    assert outcome.stderr.startswith("idn-gym: ")
    assert "Traceback" not in outcome.stderr
    missing = [word for word in says.split(" ") if word not in outcome.stderr]
    assert not missing, f"{missing} not in: {outcome.stderr}"
    assert len(outcome.stderr) <= 300, "a message is for reading"
    assert outcome.status == 2


def needs_optimum(command: str) -> None:
    """Skip where the command's module is not there."""
    if command.startswith("optimum") and find_spec("idn_agents.optimum") is None:
        pytest.skip("no idn_agents.optimum")


def cases(table: dict[str, tuple[Any, str]]) -> pytest.MarkDecorator:
    """One test per case, under its name."""
    return pytest.mark.parametrize(
        ("content", "says"), [pytest.param(*case, id=name.replace(" ", "-")) for name, case in table.items()]
    )


def written(path: Path, content: str | bytes) -> Path:
    """A file with that content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """The file of the good scenario."""
    return written(tmp_path / "good.json", JSON)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of files that are good unless their name says otherwise; the current one."""
    folder = tmp_path_factory.mktemp("files")
    written(folder / "good.json", JSON)
    written(folder / "broken.json", json.dumps(changed(("horizon", 0))))
    written(folder / "silent.json", json.dumps(changed(("workload", GONE))))
    written(folder / "replay.json", json.dumps(changed(("workload", {"kind": "trace", "requests": "nosuch.csv"}))))
    written(folder / "trace.csv", TRACE)
    written(folder / "broken.csv", HEADER + "0,cars,bs,-1\n")
    written(folder / "capacities.csv", CAPACITIES)
    written(folder / "late.csv", "slot,node,model,capacity\n2,bs,small,1\n")
    written(folder / "allocation.json", json.dumps(ALLOCATION))
    written(folder / "broken-allocation.json", '{"bs": {"small": 2}}')
    (folder / "folder.csv").mkdir()
    (folder / "full").mkdir()
    written(folder / "full" / "requests.csv", "what someone kept there\n")
    os.mkfifo(folder / "pipe.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


class TestGood:
    """What the cases start from is accepted, else they would show nothing."""

    def test_scenario(self, good: Path) -> None:
        assert in_process("check", good) == Outcome(0, f"{good}: a valid scenario file\n", "")

    @pytest.mark.parametrize("workload", [SLIDING, BURST, GOOD["workload"] | {"capacity": OUTAGES}])
    def test_workload(self, tmp_path: Path, workload: dict[str, Any]) -> None:
        file = written(tmp_path / "scenario.json", json.dumps(changed(("workload", workload))))
        assert in_process("check", file).status == 0

    def test_yaml(self, tmp_path: Path) -> None:
        assert in_process("check", written(tmp_path / "scenario.yaml", YAML)).status == 0

    def test_byte_order_mark(self, tmp_path: Path, good: Path) -> None:
        assert in_process("check", written(tmp_path / "bom.json", b"\xef\xbb\xbf" + JSON.encode())).status == 0
        trace = written(tmp_path / "bom.csv", b"\xef\xbb\xbf" + TRACE.encode())
        assert in_process("check", trace, "--scenario", good).status == 0

    @pytest.mark.parametrize(
        ("name", "content", "kind"),
        [
            ("trace.csv", TRACE, "trace"),
            ("crlf.csv", TRACE.replace("\n", "\r\n"), "trace"),
            ("quoted.csv", TRACE.replace("cars", '"cars"'), "trace"),
            ("blank.csv", TRACE + "\n\n", "trace"),
            ("trace.txt", TRACE, "trace"),
            ("trace", TRACE, "trace"),
            ("capacities.csv", CAPACITIES, "capacity"),
            ("capacities.dat", CAPACITIES, "capacity"),
            ("allocation.json", json.dumps(ALLOCATION), "allocation"),
            ("allocation", json.dumps(ALLOCATION), "allocation"),
            ("fractional.json", '{"bs": {"small": 0.25}, "cloud": {"face": 1}}', "allocation"),
            ("empty.json", "{}", "allocation"),
            ("scenario", YAML, "scenario"),
        ],
    )
    def test_kind_is_told_by_content(self, tmp_path: Path, good: Path, name: str, content: str, kind: str) -> None:
        file = written(tmp_path / name, content)
        outcome = in_process("check", file, "--scenario", good)
        assert (outcome.status, outcome.stdout) == (0, f"{file}: a valid {kind} file\n")

    def test_numbers_and_strings_of_yaml(self, tmp_path: Path) -> None:
        text = (
            YAML.replace("10.0", "1e3").replace("cars", "no").replace("40.0", "010").replace("name: yaml", "name: 1e3x")
        )
        shown = in_process("show", written(tmp_path / "scenario.yaml", text), "--json")
        scenario = json.loads(shown.stdout)["scenario"]
        assert scenario["workload"]["rate"] == 1000.0
        assert scenario["tasks"] == ["no"]  # not False, as YAML 1.1 has it
        assert scenario["models"][0]["accuracy"] == 10  # not 8
        assert scenario["name"] == "1e3x"


class TestScenario:
    @cases(RULES)
    def test_rule(self, tmp_path: Path, content: Change, says: str) -> None:
        outcome = in_process("check", written(tmp_path / "scenario.json", json.dumps(changed(content))))
        refused(outcome, f"scenario.json {says}")
        assert "more)" not in outcome.stderr, "one change made, several faults found"

    @cases(WHOLE)
    def test_rule_between_keys(self, tmp_path: Path, content: list[Change], says: str) -> None:
        file = written(tmp_path / "scenario.json", json.dumps(changed(*content)))
        refused(in_process("check", file), f"scenario.json {says}")

    @cases(TEXTS)
    def test_yaml(self, tmp_path: Path, content: str | bytes, says: str) -> None:
        refused(in_process("check", written(tmp_path / "scenario.yaml", content)), f"scenario.yaml {says}")

    @cases(JSON_TEXTS)
    def test_json(self, tmp_path: Path, content: str, says: str) -> None:
        refused(in_process("check", written(tmp_path / "scenario.json", content)), f"scenario.json {says}")

    def test_every_command_refuses_it(self, folder: Path) -> None:
        refused(in_process("show", "broken.json", "--yaml"), "broken.json horizon 0")
        refused(in_process("run", "broken.json", "--agent", "random", "--output", "out"), "broken.json horizon 0")
        assert not (folder / "out").exists()

    @pytest.mark.parametrize("override", OVERRIDES, ids=lambda override: override[:40])
    def test_override(self, override: str) -> None:
        refused(in_process("show", "tiny", "--set", override), OVERRIDES[override])

    def test_overrides_are_validated_together(self) -> None:
        """A kind and the key that it needs, one after the other."""
        both = in_process("show", "tiny", "--json", "--set", "workload.kind=burst", "--set", "workload.shape=2")
        assert json.loads(both.stdout)["scenario"]["workload"]["shape"] == 2.0


class TestTrace:
    @cases(TRACES)
    def test_requests(self, tmp_path: Path, good: Path, content: str | bytes, says: str) -> None:
        file = written(tmp_path / "trace.csv", content)
        refused(in_process("check", file, "--scenario", good), f"trace.csv {says}")

    @cases(CAPACITY_FILES)
    def test_capacities(self, tmp_path: Path, good: Path, content: str | bytes, says: str) -> None:
        file = written(tmp_path / "capacities.csv", content)
        refused(in_process("check", file, "--scenario", good), f"capacities.csv {says}")


class TestAllocation:
    @cases(ALLOCATIONS)
    def test_allocation(self, tmp_path: Path, good: Path, content: str, says: str) -> None:
        file = written(tmp_path / "allocation.json", content)
        refused(in_process("check", file, "--scenario", good), f"allocation.json {says}")

    @cases(OVER_BUDGET)
    def test_over_budget(self, tmp_path: Path, content: Any, says: str) -> None:
        file = written(tmp_path / "allocation.json", json.dumps(content))
        refused(in_process("check", file, "--scenario", "tiny"), f"allocation.json {says}")

    def test_larger_than_its_node_but_within_the_sum(self, tmp_path: Path) -> None:
        """2.5 of 5 MB of a model are allowed at a node of 3 MB; 3.5 are not."""
        oversize = ["--set", "models.cars/large.profiles.edge.size=5"]
        for fraction, status in ((0.5, 0), (0.6, 0), (0.7, 2)):
            file = written(tmp_path / "allocation.json", json.dumps({"bs0": {"cars/large": fraction}}))
            assert in_process("check", file, "--scenario", "tiny", *oversize).status == status


class TestCommands:
    @cases(COMMANDS)
    def test_in_process(self, folder: Path, content: str, says: str) -> None:
        needs_optimum(content)
        before = sorted(folder.rglob("*"))
        refused(in_process(*content.split(" ")), says)
        assert sorted(folder.rglob("*")) == before
        assert (folder / "full" / "requests.csv").read_text() == "what someone kept there\n"

    @pytest.mark.parametrize("name", PROCESSES, ids=lambda name: name.replace(" ", "-"))
    def test_as_a_process(self, folder: Path, name: str) -> None:
        command, says = COMMANDS[name]
        needs_optimum(command)
        refused(idn_gym(*command.split(" "), cwd=folder), says)

    @cases(USAGE)
    def test_usage(self, content: str, says: str) -> None:
        refused(in_process(*content.split(" ")), says)


class TestMangled:
    """However a good file is mangled, it is either still good or refused with an `IdnError` of one line."""

    MARKS = st.sampled_from("'\"{}[]:,-#~%| \0\n\r\t\u2028\N{GRINNING FACE}")
    WORDS = st.sampled_from(
        (
            "",
            "&a",
            "*a",
            "!!int",
            "null",
            "0",
            "-1",
            "1e999",
            "nan",
            ".inf",
            "NaN",
            "true",
            "no",
            "bs",
            "small",
            "9" * 30,
        )
    )
    PIECES = MARKS | WORDS

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("scenario.yaml", YAML),
            ("scenario.json", JSON),
            ("trace.csv", TRACE),
            ("capacities.csv", CAPACITIES),
            ("allocation.json", json.dumps({"bs": {"small": 0.25}, "cloud": ["face"]})),
        ],
    )
    @given(data=st.data())
    def test_mangled(
        self, tmp_path_factory: pytest.TempPathFactory, name: str, content: str, data: st.DataObject
    ) -> None:
        text = content
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(text)))
            stop = data.draw(st.integers(start, min(len(text), start + 12)))
            text = text[:start] + data.draw(self.PIECES) + text[stop:]
        folder = tmp_path_factory.getbasetemp()
        scenario = written(folder / "of-mangled.json", JSON)
        try:
            said = check_file(written(folder / name, text), str(scenario)).kind
        except IdnError as error:
            said = str(error).removeprefix(f"{folder / name}:")
        assert said
        assert "\n" not in said


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**63, 10**30, 10**400, 10**4000, -(10**400)]),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.sampled_from(["", "bs", "cloud", "small", "cars", "zipf", "a\x1b[2J", "\u202e", "\ud800", "x" * 300, "[/x]"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=9,
)


def told(call: Callable[[], Any]) -> Any:
    """What a call comes to; where it refuses, with one printable line that ends, in words of ours, None."""
    try:
        return call()
    except IdnError as error:
        says = str(error)
        assert says
        assert len(says) <= 280
        assert says == printable(says)
        assert "Input should" not in says
        assert "should be a valid" not in says
        return None


def written_and_read(scenario: Scenario | None) -> None:
    """What is accepted can be written, printed and read back."""
    if scenario is None:
        return
    text = to_yaml(scenario)
    text.encode()
    assert printable_lines(text) == text
    assert parse(parse_yaml(text, "written"), "written") == scenario
    assert parse(parse_json(json.dumps(scenario.to_dict()), "written"), "written") == scenario


class TestAnything:
    """Whatever a reader is given, it either reads it or refuses it with an `IdnError`."""

    @given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
    def test_text(self, text: str) -> None:
        told(lambda: parse(parse_yaml(text, "drawn"), "drawn"))
        told(lambda: parse(parse_json(text, "drawn"), "drawn"))

    @given(content=st.binary(max_size=60), suffix=st.sampled_from([".json", ".yaml", ".csv", ""]))
    def test_bytes(self, tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str) -> None:
        file = written(tmp_path_factory.getbasetemp() / f"bytes{suffix}", content)
        told(lambda: check_file(file, "tiny"))
        told(lambda: load_scenario(file))

    @given(values=VALUES)
    def test_values(self, values: Any) -> None:
        told(lambda: parse(values, "drawn"))
        told(lambda: parse_allocation(Network.compile(parse(GOOD, "good")), values, "drawn"))

    @given(data=st.data())
    def test_a_scenario_with_something_else_in_a_place(self, data: st.DataObject) -> None:
        values = json.loads(JSON)
        for _ in range(data.draw(st.integers(1, 2))):
            here: Any = values
            while True:
                key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
                if not (isinstance(here[key], dict | list) and here[key]) or data.draw(st.integers(0, 3)) == 0:
                    break
                here = here[key]
            what = data.draw(st.sampled_from(["other", "other", "gone", "twice", "added"]))
            if what == "gone":
                del here[key]
            elif what == "twice" and isinstance(here, list):
                here.append(here[key])
            elif what == "added" and isinstance(here, dict):
                here[data.draw(st.text(st.characters(), max_size=5))] = data.draw(VALUES)
            else:
                here[key] = data.draw(VALUES)
            if not values:
                break
        written_and_read(told(lambda: parse(values, "drawn")))

    @given(
        allocation=st.dictionaries(
            st.sampled_from(["bs", "hop", "cloud", "moon", "\x1b"]),
            st.lists(st.sampled_from(["small", "face", "none"]) | LEAVES, max_size=3)
            | st.dictionaries(
                st.sampled_from(["small", "face", "none"]), st.sampled_from([0, 1, 0.5]) | LEAVES, max_size=3
            )
            | LEAVES,
            max_size=3,
        )
    )
    def test_an_allocation(self, allocation: Any) -> None:
        network = Network.compile(parse(GOOD, "good"))
        read = told(lambda: parse_allocation(network, allocation, "drawn"))
        assert read is None or (read.shape == (network.P,) and ((read >= 0.0) & (read <= 1.0)).all())

    @given(
        overrides=st.lists(
            st.builds(
                lambda key, value: f"{key}={value}",
                st.sampled_from(["workload", "nodes.bs", "nodes.0", "models.small", "tasks", ""])
                | st.text(st.characters(), max_size=9),
                st.sampled_from(["3", "[1, 2]", "{kind: zipf, rate: 3}", "null", ".nan", "'x'"])
                | st.text(st.characters(), max_size=9),
            )
            | VALUES,
            max_size=3,
        )
        | st.dictionaries(st.text(st.characters(), max_size=9) | st.integers(), VALUES, max_size=3)
        | LEAVES
    )
    def test_overrides(self, overrides: Any) -> None:
        written_and_read(told(lambda: from_values(json.loads(JSON), "good", overrides)))
