"""Services, deadlines and prices at the command line: what is refused, warned of, evaluated, run and kept."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, in_process

from idn_gym.errors import IdnError
from idn_gym.experiment.metrics import summarise
from idn_gym.experiment.record_tables import read_slots

PROFILE = {"size": 1.0, "delay": 2.0, "throughput": 6.0}
WAY = ["bs", "hop", "cloud"]
GOOD: dict[str, Any] = {
    "format": "idn-gym/scenario-1",
    "name": "good",
    "slot_seconds": 1.0,
    "horizon": 3,
    "violation_ms": 20.0,
    "price_weight": 2.0,
    "tasks": ["cars", "people"],
    "models": [
        {
            "name": "small",
            "task": "cars",
            "accuracy": 40.0,
            "profiles": {"edge": PROFILE | {"price": 3.6}, "server": PROFILE},
        },
        {"name": "face", "task": "people", "accuracy": 50.0, "profiles": {"server": PROFILE}},
    ],
    "nodes": [
        {"name": "bs", "processor": "edge", "budget": 2.0, "entry": True},
        {"name": "hop", "processor": "edge", "budget": 1.0},
        {"name": "cloud", "processor": "server", "budget": 0.0, "repository": ["small", "face"]},
    ],
    "links": [
        {"source": "bs", "target": "hop", "latency": 5.0, "bandwidth": 50.0},
        {"source": "hop", "target": "cloud", "latency": 40.0},
    ],
    "services": [
        {"name": "now", "stages": ["cars"], "deadline_ms": 30.0, "priority": 1, "weight": 2.0, "input_mb": 0.1},
        {"name": "later", "stages": ["cars"], "accuracy_weights": [0.5]},
        {"name": "faces", "stages": ["people"]},
    ],
    "requests": [{"service": name, "path": WAY} for name in ("now", "later")] + [{"task": "faces", "path": WAY}],
    "workload": {"kind": "zipf", "rate": 10.0, "exponent": 1.0},
}
GONE = object()

# what is changed -> words of the one line
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "service twice": ({"services.1.name": "now"}, "services: 'now' twice"),
    "no services": ({"services": []}, "services: []; must have at least 1"),
    "no name": ({"services.0.name": GONE}, "services.0.name: missing"),
    "no stages": ({"services.0.stages": GONE}, "services.now.stages: missing"),
    "empty stages": ({"services.0.stages": []}, "services.now.stages: []; must have at least 1"),
    "many stages": ({"services.0.stages": ["cars"] * 9}, "services.now.stages: must have at most 8"),
    "unknown task": (
        {"services.0.stages": ["bikes"]},
        "services.now.stages: unknown task 'bikes' allowed: cars, people",
    ),
    "misspelt task": ({"services.0.stages": ["car"]}, "services.now.stages: unknown task 'car' did you mean 'cars'?"),
    "deadline on a chain": (
        {"services.0.stages": ["cars", "people"]},
        "services.now.deadline_ms: 30; one stage report_deadline_ms",
    ),
    "weight below 0": ({"services.0.weight": -1.0}, "services.now.weight: -1.0; must be greater than 0"),
    "weight 0": ({"services.0.weight": 0}, "services.now.weight: 0; must be greater than 0"),
    "infinite weight": ({"services.0.weight": 1e16}, "services.now.weight: must be less than or equal to"),
    "priority in part": ({"services.0.priority": 0.5}, "services.now.priority: 0.5; must be an integer"),
    "negative deadline": ({"services.0.deadline_ms": -1}, "services.now.deadline_ms: -1; greater than or equal to 0"),
    "negative input": ({"services.0.input_mb": -0.1}, "services.now.input_mb: -0.1; greater than or equal to 0"),
    "two accuracy weights": (
        {"services.1.accuracy_weights": [1.0, 0.5]},
        "services.later.accuracy_weights: 2 must be 1, one per stage",
    ),
    "no accuracy weights": (
        {"services.1.accuracy_weights": []},
        "services.later.accuracy_weights: []; must have at least 1",
    ),
    "negative accuracy weight": (
        {"services.1.accuracy_weights": [-1.0]},
        "services.later.accuracy_weights.0: -1.0; greater than or equal to 0",
    ),
    "unknown key": ({"services.0.deadline": 5.0}, "services.now.deadline: unknown key; did you mean 'deadline_ms'?"),
    "neither": ({"requests.0": {"path": WAY}}, "requests.0: names neither task nor service; must name one"),
    "both": ({"requests.0.task": "cars"}, "requests.0: names both task and service; must name one"),
    "unknown service": (
        {"requests.0.service": "new"},
        "requests.0.service: unknown service 'new'; allowed: now, later, faces",
    ),
    "task without service": (
        {"requests.2.task": "people"},
        "requests.2.task: unknown service 'people' allowed: now, later, faces",
    ),
    "type twice": (
        {"requests.1.service": "now"},
        "requests.1: service 'now' from 'bs' twice; one path per service and entry node",
    ),
    "type twice as task": ({"requests.2.task": "now"}, "requests.2: service 'now' from 'bs' twice"),
    "no repository model": (
        {"nodes.2.repository": ["small"]},
        "requests.2.path: 'cloud' no repository model of task 'people'",
    ),
    "no repository by default": (
        {"nodes.2.repository": ["small"], "requests": GONE},
        "services: 'faces' has no repository",
    ),
    "no route by default": (
        {
            "links.1.source": "bs",
            "links.0": {"source": "bs", "target": "hop", "latency": 1.0},
            "nodes.1.entry": True,
            "nodes.0.entry": False,
            "links": [{"source": "bs", "target": "cloud", "latency": 1.0}],
            "requests": GONE,
        },
        "links: no route from 'hop' to a repository of service 'now'",
    ),
    "bandwidth 0": ({"links.0.bandwidth": 0}, "links.0.bandwidth: 0; must be greater than 0"),
    "bandwidth below 0": ({"links.0.bandwidth": -5}, "links.0.bandwidth: -5; must be greater than 0"),
    "negative price": (
        {"models.0.profiles.edge.price": -1},
        "models.small.profiles.edge.price: -1; greater than or equal to 0",
    ),
    "negative price weight": ({"price_weight": -1}, "price_weight: -1; must be greater than or equal to 0"),
    "negative violation": ({"violation_ms": -1}, "violation_ms: -1; must be greater than or equal to 0"),
    "unknown model before": (
        {"models.1.after": ["big"]},
        "models.face.after: unknown model 'big' allowed: small, face",
    ),
    "negative trips": ({"models.1.trips": -1}, "models.face.trips: -1; must be greater than or equal to 0"),
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The good scenario with values put at dotted keys."""
    data = json.loads(json.dumps(GOOD))
    for dotted, value in changes.items():
        *way, last = dotted.split(".")
        here: Any = data
        for step in way:
            here = here[int(step)] if isinstance(here, list) else here[step]
        key: Any = int(last) if isinstance(here, list) else last
        if value is GONE:
            del here[key]
        else:
            here[key] = value
    return data


def written(path: Path, data: dict[str, Any]) -> Path:
    """A scenario file."""
    path.write_text(json.dumps(data))
    return path


def shown(*arguments: object) -> dict[str, Any]:
    """The JSON document that a command prints."""
    outcome = in_process(*arguments, "--json")
    assert outcome.status == 0, outcome.stderr
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """The file of the good scenario."""
    return written(tmp_path / "good.json", GOOD)


def test_what_the_cases_start_from_is_valid(good: Path) -> None:
    assert in_process("check", good) == Outcome(0, f"{good}: a valid scenario file\n", "")


@pytest.mark.parametrize("name", BROKEN)
def test_rule(tmp_path: Path, name: str) -> None:
    changes, says = BROKEN[name]
    outcome = in_process("check", written(tmp_path / "scenario.json", changed(changes)))
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.count("\n") == 1
    missing = [word for word in f"idn-gym: scenario.json {says}".split(" ") if word not in outcome.stderr]
    assert not missing, f"{missing} not in: {outcome.stderr}"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nodes.0.budget": 0.0, "nodes.1.budget": 0.0}, "models.small: no node can hold it at a price"),
        ({"models.0.profiles.edge.price": 0.0}, "price_weight: 2; no profile has a price"),
        ({"violation_ms": 0.0}, "services.now.deadline_ms: 30; without violation_ms a deadline costs nothing"),
        ({"services.0.deadline_ms": GONE}, "violation_ms: 20; no service has a deadline_ms"),
        ({"requests": [{"service": "now", "path": WAY}]}, "requests: none asks for service 'later' (and 1 more)"),
    ],
)
def test_likely_slip(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    outcome = in_process("check", written(tmp_path / "scenario.json", changed(changes)))
    assert outcome.status == 0
    assert sum(says in line for line in outcome.stderr.splitlines()) == 1, outcome.stderr


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("0,cars,bs,1", "trace.csv:2: unknown service 'cars'; allowed: now, later, faces"),
        ("0,nov,bs,1", "trace.csv:2: unknown service 'nov'; did you mean 'now'?"),
        ("0,now,hop,1", "trace.csv:2: no request type for service 'now' from 'hop'"),
    ],
)
def test_traces_name_services(tmp_path: Path, good: Path, row: str, says: str) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(f"slot,task,source,requests\n{row}\n")
    outcome = in_process("check", trace, "--scenario", good)
    assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert says in outcome.stderr


def test_trace_of_a_scenario_with_services(good: Path) -> None:
    outcome = in_process("trace", good, "--slots", 20)
    header, *rows = csv.reader(outcome.stdout.splitlines())
    assert header == ["slot", "task", "source", "requests"]
    assert {row[1] for row in rows} == {"now", "later", "faces"}


def test_show(good: Path) -> None:
    document = shown("show", good)
    assert [row["service"] for row in document["request_types"]] == ["now", "later", "faces"]
    assert document["scenario"]["services"][0] == {
        "name": "now",
        "stages": ["cars"],
        "deadline_ms": 30.0,
        "priority": 1,
        "weight": 2.0,
        "input_mb": 0.1,
    }
    assert "service" in in_process("show", good).stdout
    assert "task" in shown("show", "tiny")["request_types"][0]


def test_evaluate_by_service(tmp_path: Path, good: Path) -> None:
    """Small at the base station serves 6: `now`'s 4 first. The cloud is 45 ms away, 47 with `now`'s 0.1 MB."""
    (tmp_path / "trace.csv").write_text("slot,task,source,requests\n0,now,bs,4\n0,later,bs,4\n1,faces,bs,1\n")
    (tmp_path / "allocation.json").write_text('{"bs": ["small"]}')
    files = ("--allocation", tmp_path / "allocation.json", "--requests", tmp_path / "trace.csv")
    document = shown("evaluate", good, *files, "--by", "service")
    now, later = 4 * 2.0 * (47.0 + 20.0), 2 * 45.0
    assert document["gain"] == pytest.approx(now + later)
    assert document["services"] == [
        {"service": "now", "requests": 4, "gain": pytest.approx(now), "latency_ms": 2, "inaccuracy": 60, "missed": 0},
        {"service": "later", "requests": 4, "gain": pytest.approx(later), "latency_ms": 24.5, "inaccuracy": 30},
        {"service": "faces", "requests": 1, "gain": 0, "latency_ms": 47, "inaccuracy": 50},
    ]
    assert [row["price_per_slot"] for row in document["slots"]] == pytest.approx([0.001, 0.001])
    assert [row["missed"] for row in document["slots"]] == [0, 0]
    assert document["net"] == pytest.approx(now + later - 2 * 2.0 * 0.001)
    nothing = tmp_path / "nothing.json"
    nothing.write_text("{}")
    document = shown("evaluate", good, "--allocation", nothing, "--requests", tmp_path / "trace.csv")
    assert (document["missed"], document["net"], [row["missed"] for row in document["slots"]]) == (1, 0, [1, 0])
    text = in_process("evaluate", good, *files, "--by", "service").stdout
    assert "by service" in text
    assert "net gain" in text


def test_a_run_and_its_record(tmp_path: Path, good: Path) -> None:
    """Columns of prices and deadlines are kept, read back, and sum up to what is printed."""
    how = ("run", good, "--agent", "random", "--agent", "repository-only", "--slots", 12, "--output", tmp_path / "out")
    document = shown(*how, "--by", "service")
    for row in document["agents"]:
        with (tmp_path / "out" / row["agent"] / "slots.csv").open() as file:
            slots = [{key: float(value) for key, value in line.items()} for line in csv.DictReader(file)]
        late = sum(slot["missed"] * slot["timed_requests"] for slot in slots)
        assert row["missed"] == pytest.approx(late / sum(slot["timed_requests"] for slot in slots))
        assert row["net"] == pytest.approx(sum(slot["net"] for slot in slots))
        assert row["price_per_hour"] == pytest.approx(sum(slot["price_per_hour"] for slot in slots) / 12)
        paid = 2.0 * sum(slot["price_per_hour"] for slot in slots) / 3600.0
        assert row["net"] == pytest.approx(row["gain"] - paid)
        services = {of["service"]: of for of in row["services"]}
        assert sum(of["gain"] for of in services.values()) == pytest.approx(row["gain"])
        assert sum(of["requests"] for of in services.values()) == sum(slot["requests"] for slot in slots)
        assert services["now"]["missed"] == pytest.approx(row["missed"])
        assert "missed" not in services["later"]
        mean = sum(of["latency_ms"] * of["requests"] for of in services.values()) / sum(
            of["requests"] for of in services.values()
        )
        assert mean == pytest.approx(row["latency_ms"])
    assert document["agents"][1]["net"] == document["agents"][1]["price_per_hour"] == 0.0
    assert document["agents"][1]["missed"] == 1.0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out" / "random").iterdir()}
    shutil.rmtree(tmp_path / "out" / "repository-only")
    again = shown(*how, "--by", "service", "--resume")
    for one, other in zip(document["agents"], again["agents"], strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out" / "random").iterdir()}
    text = in_process("run", good, "--agent", "random", "--slots", 3, "--by", "service").stdout
    assert all(word in text for word in ("net ms", "price/h", "missed", "by service: random"))


def test_a_run_without_deadlines_and_prices_has_the_columns_it_had(tmp_path: Path) -> None:
    document = shown("run", "tiny", "--agent", "random", "--slots", 3, "--output", tmp_path / "out")
    assert not {"net", "price_per_hour", "missed"} & set(document["agents"][0])
    header = (tmp_path / "out" / "random" / "slots.csv").read_text().splitlines()[0]
    assert header == "slot,requests,gain,cost,latency_ms,inaccuracy,model_update_mb"


def test_seeds_and_parts_do_not_go_together(good: Path) -> None:
    outcome = in_process("run", good, "--agent", "random", "--seeds", "0:2", "--by", "service")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "--by service: takes the runs of one seed apart; goes not with --seeds" in outcome.stderr


def test_several_seeds_have_the_columns_too(good: Path) -> None:
    document = shown("run", good, "--agent", "random", "--seeds", "0:2", "--slots", 5, "--workers", 1)
    row = document["agents"][0]
    assert {"net", "price_per_hour", "missed"} <= set(row)
    assert row["net"] == pytest.approx(sum(run["net"] for run in document["runs"]) / 2)
    assert "net ms" in in_process("run", good, "--agent", "random", "--seeds", "0:2", "--slots", 5).stdout


@pytest.mark.parametrize(
    "columns", ["missed", "timed_requests", "net", "price_per_hour", "missed,timed_requests", "net,price_per_hour"]
)
def test_columns_that_go_together_do(tmp_path: Path, columns: str) -> None:
    always = "slot,requests,gain,cost,latency_ms,inaccuracy,model_update_mb"
    row = "0,1,2,3,4,5,6"
    path = tmp_path / "slots.csv"
    path.write_text(f"{always}\n{row}\n")
    assert summarise(read_slots(path)).net is None
    path.write_text(f"{always},timed_requests,missed,price_per_hour,net\n{row},4,0.5,7,-8\n")
    summary = summarise(read_slots(path))
    assert (summary.missed, summary.price_per_hour, summary.net) == (0.5, 7.0, -8.0)
    path.write_text(f"{always},{columns}\n{row}{',1' * (columns.count(',') + 1)}\n")
    with pytest.raises(IdnError, match=r"slots.csv: columns"):
        read_slots(path)
