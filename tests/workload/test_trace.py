"""Trace files: what is written reads back to the same numbers, and what is wrong is named with file, line and value."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from command_line import in_process
from hypothesis import given
from hypothesis import strategies as st

from idn_gym.errors import IdnError
from idn_gym.experiment.records import run
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.streams import Streams
from idn_gym.workload.trace import Trace, fitting, joined
from idn_gym.workload.trace_file import capacities_csv, header, number, read_capacities, read_trace, requests_csv

REQUESTS = "slot,task,source,requests\n"
CAPACITIES = "slot,node,model,capacity\n"


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


def odd_names() -> Network:
    """Names that a CSV file has to quote."""
    names = ['big, "red" cars', "été #1", "' a\tb".replace("\t", " "), "=1+1"]
    profile = {"p": {"size": 1.0, "delay": 1.0, "throughput": 5.0}}
    return Network.compile(
        parse(
            {
                "format": "idn-gym/scenario-1",
                "name": "odd",
                "slot_seconds": 1.0,
                "replicas": 2,
                "tasks": names,
                "models": [
                    {"name": f"{name}/a,b", "task": name, "accuracy": 1.0, "profiles": profile} for name in names
                ],
                "nodes": [
                    {"name": "the, hub", "processor": "p", "repository": [f"{name}/a,b" for name in names]},
                    {"name": 'leaf "1"', "processor": "p", "budget": 1.0},
                    {"name": "leaf, 2", "processor": "p", "budget": 1.0},
                ],
                "links": [{"source": "the, hub", "target": leaf, "latency": 0.0} for leaf in ('leaf "1"', "leaf, 2")],
            },
            "test",
        )
    )


# --- round trips ------------------------------------------------------------------------------------------------


def read_back(network: Network, trace: Trace, folder: Path) -> Trace:
    (folder / "r.csv").write_text("".join(requests_csv(network, trace)), "utf-8")
    (folder / "c.csv").write_text("".join(capacities_csv(network, trace)), "utf-8")
    return read_trace(network, folder / "r.csv", folder / "c.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


VALUES = st.one_of(
    st.just(0.0),
    st.integers(0, 10**6).map(float),
    st.floats(0.0, 1e18, allow_subnormal=False),
    st.sampled_from([1e-300, 0.1, 1 / 3, 2.0**53, 2.0**53 + 2, 1e16, 1e18, 5e-324]),
)


@given(data=st.data())
def test_what_is_written_reads_back_the_same(data: st.DataObject, folder: Path) -> None:
    network = odd_names()
    slots = data.draw(st.integers(1, 4))
    requests = np.array(data.draw(st.lists(VALUES, min_size=slots * network.R, max_size=slots * network.R)))
    capacities = np.tile(network.capacities, (slots, 1))
    changed = data.draw(
        st.lists(st.tuples(st.integers(0, slots - 1), st.integers(0, network.P - 1), VALUES), max_size=9)
    )
    for t, p, value in changed:
        capacities[t, p] = value
    trace = Trace(requests.reshape(slots, network.R), capacities)
    back = read_back(network, trace, folder)
    assert np.array_equal(back.requests, trace.requests)
    assert np.array_equal(back.capacities, trace.capacities)


def test_empty_slots_keep_their_place(tiny: Network, folder: Path) -> None:
    for rows in ([[0, 0, 0, 0]], [[0, 0, 0, 0], [1, 0, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0]]):
        trace = Trace(np.array(rows, dtype=float), tiny.capacities[None])
        assert np.array_equal(read_back(tiny, trace, folder).requests, trace.requests)


def test_capacities_that_are_constant_but_not_nominal_hold_in_every_slot(tiny: Network, folder: Path) -> None:
    trace = Trace(np.ones((3, tiny.R)), tiny.capacities[None] / 2)
    back = read_back(tiny, trace, folder)
    for slot in range(3):
        assert np.array_equal(back.capacities_at(slot), trace.capacities_at(slot))


def test_files_by_hand(tiny: Network) -> None:
    index = tiny.type_index()
    requests = np.zeros((3, tiny.R))
    requests[0, index["people", "bs1"]] = 2.0
    requests[1, index["cars", "bs0"]] = 0.25
    capacities = np.tile(tiny.capacities, (3, 1))
    bs1 = tiny.node_names.index("bs1")
    capacities[2, tiny.placement_index[bs1, tiny.model_names.index("cars/large")]] = 1.5
    trace = Trace(requests, capacities)
    assert "".join(requests_csv(tiny, trace)) == REQUESTS + "0,people,bs1,2\n1,cars,bs0,0.25\n2,cars,bs0,0\n"
    assert "".join(capacities_csv(tiny, trace)) == CAPACITIES + "2,bs1,cars/large,1.5\n"


def test_a_trace_file_is_plain_csv(folder: Path) -> None:
    network = odd_names()
    trace = Trace(np.arange(network.R, dtype=float)[None], network.capacities[None])
    rows = list(csv.reader(io.StringIO("".join(requests_csv(network, trace)))))
    assert rows[0] == ["slot", "task", "source", "requests"]
    tasks = network.scenario.tasks
    expected = {(task, leaf): rho for (task, leaf), rho in network.type_index().items() if rho > 0}
    assert {(task, source): int(count) for _, task, source, count in rows[1:]} == expected
    assert {task for _, task, _, _ in rows[1:]} == set(tasks)


@given(st.one_of(VALUES, st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_are_the_shortest_text_that_reads_back(value: float) -> None:
    text = number(value)
    assert float(text) == value
    assert len(text) <= len(repr(value))
    if value == int(value) and abs(value) < 2**53:
        assert re.fullmatch(r"-?[0-9]+", text)


# --- reading ----------------------------------------------------------------------------------------------------


def written(folder: Path, text: str | bytes, name: str = "r.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ROWS = "0,cars,bs0,3\n2,people,bs1,0.5\n"


@pytest.mark.parametrize(
    "text",
    [
        REQUESTS + ROWS,
        (REQUESTS + ROWS).replace("\n", "\r\n"),
        "\ufeff" + REQUESTS + ROWS,
        "\ufeff" + (REQUESTS + ROWS).replace("\n", "\r\n"),
        REQUESTS + "2,people,bs1,5e-1\n0,cars,bs0,3.0",  # any order, and no line break at the end
        REQUESTS + "\n0,cars,bs0,3\n\n2,people,bs1,.5\n\n",
        REQUESTS + '"0","cars",bs0,"3"\n2,"people","bs1",0.5\n',
        REQUESTS + ROWS + "1,cars,bs1,0\n",
        '"slot","task","source","requests"\n' + ROWS,
    ],
)
def test_reading(tiny: Network, folder: Path, text: str) -> None:
    trace = read_trace(tiny, written(folder, text))
    expected = np.zeros((3, tiny.R))
    expected[0, tiny.type_index()["cars", "bs0"]] = 3.0
    expected[2, tiny.type_index()["people", "bs1"]] = 0.5
    assert np.array_equal(trace.requests, expected)
    assert trace.slots == 3
    assert np.array_equal(trace.capacities, tiny.capacities[None])


def test_capacities_are_nominal_where_the_file_says_nothing(tiny: Network, folder: Path) -> None:
    requests = written(folder, REQUESTS + "3,cars,bs0,1\n")
    capacities = written(folder, CAPACITIES + "1,co,cars/small,0\n2,bs0,people/large,9.5\n", "c.csv")
    expected = np.tile(tiny.capacities, (4, 1))
    for t, node, model, value in ((1, "co", "cars/small", 0.0), (2, "bs0", "people/large", 9.5)):
        expected[t, tiny.placement_index[tiny.node_names.index(node), tiny.model_names.index(model)]] = value
    assert np.array_equal(read_trace(tiny, requests, capacities).capacities, expected)
    # alone, the file has as many slots as its largest asks for
    assert np.array_equal(read_capacities(tiny, capacities), expected[:3])
    nothing = written(folder, CAPACITIES, "c.csv")
    assert np.array_equal(read_trace(tiny, requests, nothing).capacities, np.tile(tiny.capacities, (4, 1)))
    assert np.array_equal(read_capacities(tiny, nothing), tiny.capacities[None])


def test_replicas_have_capacities_of_their_own(folder: Path) -> None:
    network = Network.compile(load_scenario("tiny", ["replicas=2"]))
    capacities = read_capacities(network, written(folder, CAPACITIES + "0,bs0,cars/small#2,1\n"))
    changed = np.argwhere(capacities != network.capacities)
    assert [(t, network.model_names[network.placement_model[p]]) for t, p in changed.tolist()] == [(0, "cars/small#2")]


def test_head(tiny: Network) -> None:
    requests, capacities = np.arange(12.0).reshape(3, 4), np.arange(3.0 * tiny.P).reshape(3, tiny.P)
    trace = Trace(requests, capacities)
    assert trace.head(2).slots == 2
    assert np.array_equal(trace.head(2).requests, requests[:2])
    assert np.array_equal(trace.head(2).capacities, capacities[:2])
    assert np.array_equal(trace.head(1).capacities_at(0), capacities[0])
    assert np.array_equal(trace.head(3).requests, requests)
    assert np.array_equal(Trace(requests, capacities[:1]).head(2).capacities_at(1), capacities[0])
    with pytest.raises(IdnError, match="4 slots asked for; the trace has 3"):
        trace.head(4)


# --- capacities that vary, and those that do not -----------------------------------------------------------------


def test_one_slot_of_capacities_is_said_to_vary_or_not(tiny: Network, folder: Path) -> None:
    requests = written(folder, REQUESTS + "0,cars,bs0,3\n")
    assert read_trace(tiny, requests).varying is False
    for rows in ("0,bs0,cars/small,1\n", f"0,bs0,cars/small,{tiny.capacities[0]}\n", ""):
        assert read_trace(tiny, requests, written(folder, CAPACITIES + rows, "c.csv")).varying is True


def test_parts_of_a_trace_stay_what_it_is(tiny: Network) -> None:
    requests, capacities = np.ones((3, tiny.R)), np.arange(3.0 * tiny.P).reshape(3, tiny.P)
    varying = Trace(requests, capacities)
    assert [part.varying for part in (varying, varying.head(1), varying.part(2, 3))] == [True] * 3
    assert np.array_equal(varying.part(2, 3).capacities_at(0), capacities[2])
    for steady in (Trace(requests, capacities[1:2]), Trace(requests[:1], capacities[:1])):
        assert (steady.varying, steady.head(1).varying) == (False, False)
    assert joined([varying.head(1), varying.part(1, 3)]).varying
    assert joined([varying.head(1)]).varying
    assert joined([steady, steady]).varying is False
    assert joined([steady, Trace(requests, capacities[1:2])]).varying


@pytest.mark.parametrize(
    ("slots", "rows", "varying", "says"),
    [
        (3, 2, None, "capacities: 2 rows; must be 3, one per slot, or 1 for all"),
        (3, 1, True, "capacities: 1 rows; must be 3, one per slot"),
        (3, 3, False, "capacities: 3 rows; must be 3, one per slot, or 1 for all"),
        (1, 2, None, "capacities: 2 rows; must be 1"),
    ],
)
def test_capacities_of_another_number_of_slots(slots: int, rows: int, varying: bool | None, says: str) -> None:
    with pytest.raises(IdnError, match=f"^{says}"):
        Trace(np.ones((slots, 2)), np.ones((rows, 3)), varying=varying)


def earned(trace: Path, capacities: Path, slots: int) -> dict[str, list[float]]:
    """What holding all that `HELD` says earns in each slot, by who is asked."""
    gym_arguments: dict[str, Any] = {"trace": str(trace), "capacities": str(capacities)}
    env = gym.make("IDN/Tiny-v0", **gym_arguments).unwrapped
    action = np.zeros(env.network.P, dtype=np.int8)
    for node, models in HELD.items():
        for model in models:
            names = env.network.node_names.index(node), env.network.model_names.index(model)
            action[env.network.placement_index[names]] = 1
    batches: dict[str, Any] = {
        "vector": gym.make_vec("IDN/Tiny-v0", num_envs=2, **gym_arguments),
        "tensors": gym.make_vec("IDN/Tiny-v0", num_envs=2, device="cpu", **gym_arguments),
        "device": gym.make_vec(
            "IDN/Tiny-v0", num_envs=2, device="cpu", streams="device", backend="reference", **gym_arguments
        ),
    }
    env.reset(seed=0)
    by_whom = {"scalar": [float(env.step(action)[1]) for _ in range(slots)]}
    for name, batch in batches.items():
        torch = pytest.importorskip("torch")
        batch.reset(seed=0)
        asked = np.stack([action] * 2)
        given = asked if name == "vector" else torch.from_numpy(asked)
        rewards = [batch.step(given)[1].tolist() for _ in range(slots)]
        assert all(first == second for first, second in rewards)
        by_whom[name] = [first for first, _ in rewards]
    return by_whom


HELD = {"bs0": ["cars/small"], "bs1": ["people/small"], "co": ["cars/medium"]}
LIMITED = "0,bs0,cars/small,1\n0,bs1,people/small,0\n0,co,cars/medium,2\n"


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("rows", [LIMITED, "0,bs0,cars/small,0\n", ""])
def test_all_environments_and_the_command_line_earn_the_same(tmp_path: Path, slots: int, rows: str) -> None:
    trace = written(tmp_path, REQUESTS + "".join(f"{t},cars,bs0,9\n{t},people,bs1,7\n" for t in range(slots)))
    capacities = written(tmp_path, CAPACITIES + rows, "c.csv")
    allocation = written(tmp_path, json.dumps(HELD), "a.json")
    outcome = in_process(
        "evaluate", "tiny", "--allocation", allocation, "--requests", trace, "--capacities", capacities, "--json"
    )
    expected = [slot["gain"] for slot in json.loads(outcome.stdout)["slots"]]
    unlimited = json.loads(
        in_process("evaluate", "tiny", "--allocation", allocation, "--requests", trace, "--json").stdout
    )
    assert (expected[0] < unlimited["slots"][0]["gain"]) == bool(rows)
    assert all(gain == unlimited["slots"][t]["gain"] for t, gain in enumerate(expected) if t > 0)
    for whom, gains in earned(trace, capacities, slots).items():
        assert gains == pytest.approx(expected, rel=1e-12), whom


def test_a_run_of_one_slot_keeps_its_capacities(tmp_path: Path, tiny: Network) -> None:
    trace = written(tmp_path, REQUESTS + "0,cars,bs0,9\n")
    pairs = zip(tiny.placement_node, tiny.placement_model, strict=True)
    names = [(tiny.node_names[v], tiny.model_names[m]) for v, m in pairs]
    nothing = written(tmp_path, CAPACITIES + "".join(f"0,{node},{model},0\n" for node, model in names), "c.csv")
    gains = {}
    for name, file in {"without": None, "with": nothing}.items():
        spec = RunSpec(tiny.scenario, AgentSpec("static-greedy"), trace=trace, capacities=file)
        _, _, results = run([spec], tmp_path / name)
        gains[name] = results[0].summary.gain
        assert (tmp_path / name / "capacities.csv").exists() == (file is not None)
    assert gains["without"] > 0.0 == gains["with"]
    kept = tmp_path / "with" / "capacities.csv"
    assert not read_capacities(tiny, kept).any()


def test_a_drawn_slot_of_outages_is_recorded(tmp_path: Path) -> None:
    outages = "workload.capacity={kind: outages, probability: 1.0}"
    command = ("run", "tiny", "--set", outages, "--agent", "random", "--slots", 1, "--output", tmp_path / "run")
    assert in_process(*command).status == 0
    network = Network.compile(load_scenario("tiny"))
    assert not read_capacities(network, tmp_path / "run" / "capacities.csv").any()


def test_variants_of_other_capacities_go_with_no_capacity_file(tmp_path: Path) -> None:
    trace = written(tmp_path, REQUESTS + "0,cars,bs0,9\n")
    capacities = written(tmp_path, CAPACITIES + "0,bs0,cars/small,1\n", "c.csv")
    variants = [{}, {"slot_seconds": 5.0}]
    arguments: dict[str, Any] = {"num_envs": 2, "variants": variants, "trace": str(trace)}
    gym.make_vec("IDN/Tiny-v0", **arguments)
    with pytest.raises(IdnError, match="variants: change capacities; with a capacity file all environments have"):
        gym.make_vec("IDN/Tiny-v0", **arguments, capacities=str(capacities))


def test_constant_capacities_of_a_trace_need_not_be_nominal(tiny: Network) -> None:
    streams = Streams([tiny] * 3, Trace(np.ones((2, tiny.R)), tiny.capacities[None] / 2))
    for rows in (slice(None), np.array([0, 2])):
        capacities = streams.next_slot(rows)[1]
        assert (capacities == tiny.capacities / 2).all()


def test_the_header_tells_a_file_s_kind(folder: Path) -> None:
    assert header(written(folder, CAPACITIES)) == CAPACITIES.strip().split(",")
    assert header(written(folder, "\ufeff" + CAPACITIES.replace("\n", "\r\n"))) == CAPACITIES.strip().split(",")
    assert header(written(folder, "")) == []


# --- errors -----------------------------------------------------------------------------------------------------

NOT_A_SLOT = "r.csv:2: slot '{}'; must be a whole number >= 0"
NOT_A_COUNT = "r.csv:2: requests '{}'; must be a number from 0 to 1e+18"


def refused(network: Network, path: Path, expected: str, capacities: bool = False) -> None:
    """Reading must fail with a message of one line that starts with `expected`, which starts with the file's name.

    Of a value without end, a message shows the beginning.
    """
    read = (lambda: read_capacities(network, path, 2)) if capacities else (lambda: read_trace(network, path))
    with pytest.raises(IdnError, match=f"^{re.escape(str(path.parent / expected)[:180])}") as caught:
        read()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "found",
    ["", "slot,task,requests,source", "slot,task,source", "slot,task,source,requests,", "Slot,task,source,requests"],
)
def test_columns_are_exactly_these(tiny: Network, folder: Path, found: str) -> None:
    path = written(folder, found + "\n0,cars,bs0,1\n" if found else "")
    refused(tiny, path, f"r.csv: columns {found!r}; must be 'slot,task,source,requests'")


def test_a_capacity_file_is_no_trace_and_the_other_way_round(tiny: Network, folder: Path) -> None:
    refused(tiny, written(folder, CAPACITIES), "r.csv: this is a capacity file, not a trace file; it goes to: idn-gym")
    path = written(folder, REQUESTS)
    refused(tiny, path, "r.csv: this is a trace file, not a capacity file; it goes to: idn-gym", capacities=True)


@pytest.mark.parametrize("slot", ["-1", "1.0", "1e3", "", " 1", "+1", "x", "0x1", "١", "1_0", "9" * 13, "9" * 5000])
def test_slots_are_whole_numbers(tiny: Network, folder: Path, slot: str) -> None:
    refused(tiny, written(folder, f"{REQUESTS}{slot},cars,bs0,1\n"), NOT_A_SLOT.format(slot))


@pytest.mark.parametrize("count", ["-1", "-1e-9", "nan", "inf", "-inf", "1e999", "1.1e18", "", "many", "1,5", "0x10"])
def test_counts_are_numbers_from_0(tiny: Network, folder: Path, count: str) -> None:
    refused(tiny, written(folder, f'{REQUESTS}0,cars,bs0,"{count}"\n'), NOT_A_COUNT.format(count))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("0,boats,bs0,1\n", "r.csv:2: unknown task 'boats'; allowed: cars, people"),
        ("0,Cars,bs0,1\n", "r.csv:2: unknown task 'Cars'; did you mean 'cars'? allowed: cars, people"),
        ("0,cars,bs0,1\n0,cars,bs9,1\n", "r.csv:3: unknown source 'bs9'; did you mean 'bs0'? it must be an entry node"),
        ("0,cars,co,1\n", "r.csv:2: no request type for task 'cars' from 'co'"),
        ("0,cars,bs0,1\n1,cars,bs0,1\n0,cars,bs0,2\n", "r.csv:4: slot 0, task cars, source bs0 twice"),
        ("0,cars,bs0,0\n0,cars,bs0,0\n", "r.csv:3: slot 0, task cars, source bs0 twice"),
        ("0,cars,bs0\n", "r.csv:2: 3 values; must be slot,task,source,requests"),
        ("0,cars,bs0,1,\n", "r.csv:2: 5 values; must be slot,task,source,requests"),
        ("\n\n0;cars;bs0;1\n", "r.csv:4: 1 values; must be slot,task,source,requests"),
        ("", "r.csv: no requests; a trace has at least one row"),
        ('0,"cars,bs0,1\n', "r.csv:2: not CSV: "),
        ('0,"cars"s,bs0,1\n', "r.csv:2: not CSV: "),
        ("0,cars,bs0,1\r1,cars,bs0,1\r", "r.csv:2: not CSV: "),
        ("0," + "c" * 200_000 + ",bs0,1\n", "r.csv:2: not CSV: field larger than field limit"),
        ("0,ca\0rs,bs0,1\n", r"r.csv:2: unknown task 'ca\x00rs'; did you mean 'cars'? allowed: cars, people"),
        ("99999999999,cars,bs0,1\n", "r.csv: 100000000000 slots; at most 1048576 for a file with so few rows (1)"),
        ("100000000,cars,bs0,1\n", "r.csv: 100000001 slots; at most 1048576 for a file with so few rows (1)"),
        ("0,cars,bs0,1\n1048576,cars,bs0,1\n", "r.csv: 1048577 slots; at most 1048576 for a file with so few rows (2)"),
    ],
)
def test_faults_of_traces(tiny: Network, folder: Path, rows: str, expected: str) -> None:
    refused(tiny, written(folder, REQUESTS + rows), expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("0,bs9,cars/small,1\n", "r.csv:2: unknown node 'bs9'; did you mean 'bs0'? allowed: cloud, co, bs0, bs1"),
        ("0,bs0,cars/tiny,1\n", "r.csv:2: unknown model 'cars/tiny'; allowed: cars/small, cars/medium, cars/large"),
        (
            "0,cloud,cars/large,1\n",
            "r.csv:2: cars/large is no placement at cloud: it cannot run there, or is its repository",
        ),
        ("1,bs0,cars/small,1\n2,bs0,cars/small,1\n", "r.csv:3: slot 2; the trace ends with slot 1"),
        ("0,bs0,cars/small,1\n0,bs0,cars/small,1\n", "r.csv:3: slot 0, node bs0, model cars/small twice"),
        ("0,bs0,cars/small,-1\n", "r.csv:2: capacity '-1'; must be a number from 0 to 1e+18"),
        ("0,bs0,cars/small,nan\n", "r.csv:2: capacity 'nan'; must be a number from 0 to 1e+18"),
        ("one,bs0,cars/small,1\n", "r.csv:2: slot 'one'; must be a whole number >= 0"),
        ("0,bs0,cars/small\n", "r.csv:2: 3 values; must be slot,node,model,capacity"),
    ],
)
def test_faults_of_capacities(tiny: Network, folder: Path, rows: str, expected: str) -> None:
    refused(tiny, written(folder, CAPACITIES + rows), expected, capacities=True)


def test_a_model_that_cannot_run_at_a_node_has_no_capacity_there(folder: Path) -> None:
    values = load_scenario("tiny").to_dict()
    for model in values["models"]:
        if model["name"] == "cars/large":
            del model["profiles"]["edge"]
    network = Network.compile(parse(values, "test"))
    path = written(folder, CAPACITIES + "0,bs0,cars/large,1\n")
    refused(network, path, "r.csv:2: cars/large is no placement at bs0: it cannot run there", capacities=True)


@pytest.mark.parametrize(
    ("slot", "says"),
    [
        (99999999999, "100000000000 slots; at most 1048576 for a file with so few rows (1)"),
        (100000000, "100000001 slots; at most 1048576"),
        (4000000, "4000001 slots; at most 1048576"),
    ],
)
def test_far_slots_of_a_capacity_file_are_refused(tiny: Network, folder: Path, slot: int, says: str) -> None:
    path = written(folder, f"{CAPACITIES}{slot},bs0,cars/small,1\n", "c.csv")
    with pytest.raises(IdnError, match=rf"c\.csv: {re.escape(says)}"):
        read_capacities(tiny, path)


def test_a_wide_table_of_few_rows_is_refused_before_it_takes_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idn_gym.workload.trace_file._MAX_BYTES", 2**16)  # the buffer that a file is read into
    network = Network.compile(load_scenario("topology-1-fixed"))  # 480 types, 7,000 placements
    far = written(folder, REQUESTS + f"200000,{network.scenario.tasks[0]},bs0,1\n")
    near = written(folder, REQUESTS + f"20000,{network.scenario.tasks[0]},bs0,1\n", "near.csv")
    nominal = written(folder, CAPACITIES, "c.csv")
    tracemalloc.start()
    try:
        with pytest.raises(IdnError, match=r"r\.csv: 200001 slots of 480 values; at most 67108864 values for a file"):
            read_trace(network, far)
        with pytest.raises(IdnError, match=r"c\.csv: 20001 slots of 7000 values; at most 67108864 values for a file"):
            read_trace(network, near, nominal)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_a_file_may_ask_for_grows_with_its_rows() -> None:
    assert fitting("f", 2**20, 64, rows=1) == 2**20
    assert fitting("f", 10**7, 4, rows=10**6) == 10**7
    assert fitting("f", 70_000, 7_000, rows=2 * 10**6) == 70_000
    with pytest.raises(IdnError, match=r"f: 10000001 slots of 100 values; at most 536870912 values are read"):
        fitting("f", 10**7 + 1, 100, rows=10**8)


def test_a_drawn_stream_with_outages_has_a_limit_of_its_own(tiny: Network) -> None:
    outages = {"kind": "outages", "probability": 0.5}
    network = Network.compile(load_scenario("tiny", {"workload.capacity": outages}))
    with pytest.raises(IdnError, match=r"slots: 40000000 of 18 placements; at most 536870912 values are drawn"):
        draw(network, 40_000_000, 0)


def test_files_that_cannot_be_read(tiny: Network, folder: Path) -> None:
    refused(tiny, folder / "missing.csv", "missing.csv: cannot be read: No such file or directory")
    refused(tiny, folder, f"{folder.name}: cannot be read: this is a folder, not a trace file")
    refused(
        tiny,
        written(folder, REQUESTS.encode() + "0,caf\xe9,bs0,1\n".encode("latin-1")),
        "r.csv: not UTF-8 text (byte 31)",
    )
    refused(tiny, written(folder, REQUESTS.encode("utf-16")), "r.csv: not UTF-8 text (byte 0)")


@pytest.mark.parametrize("text", ["a" * 200_000, "slot,task\rslot,task\r", '"slot,task'])
def test_a_header_that_is_no_csv(folder: Path, text: str) -> None:
    assert header(written(folder, text)) == []  # reading it as a trace says why


def test_the_largest_numbers_are_read(tiny: Network, folder: Path) -> None:
    trace = read_trace(tiny, written(folder, REQUESTS + "0,cars,bs0,1e18\n0,cars,bs1,5e-324\n"))
    index: dict[Any, int] = tiny.type_index()
    assert trace.requests[0, [index["cars", "bs0"], index["cars", "bs1"]]].tolist() == [1e18, 5e-324]


# --- whatever a file holds ---------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.sampled_from(
        [
            *(
                "0",
                "1",
                "2",
                "-1",
                "1e3",
                "9" * 12,
                "99999999",
                "1048576",
                "",
                " ",
                "nan",
                "inf",
                "1e999",
                "0x1",
                "1_0",
            ),
            *("cars", "people", "boats", "bs0", "bs1", "co", "cloud", "cars/small", "people/large", "slot", "\ud7ff"),
        ]
    ),
    st.text(max_size=4),
    st.integers(-5, 10**4).map(str),
    st.floats().map(repr),
)
LINES = st.lists(
    st.one_of(
        st.lists(CELLS, min_size=4, max_size=4),
        st.tuples(st.sampled_from("0123"), st.sampled_from(["cars", "people"]), st.sampled_from(["bs0", "bs1"]), CELLS),
        st.tuples(st.sampled_from("0123"), st.sampled_from(["bs0", "co"]), st.just("cars/small"), CELLS),
        st.lists(CELLS, max_size=6),
    ).map(",".join),
    max_size=6,
).map("\n".join)


@given(head=st.sampled_from([REQUESTS, CAPACITIES, ""]), lines=LINES)
def test_any_rows_are_read_or_refused(tiny: Network, folder: Path, head: str, lines: str) -> None:
    path = written(folder, (head + lines).encode("utf-8", "surrogatepass"), "any.csv")
    good = written(folder, REQUESTS + "3,cars,bs0,1\n", "good.csv")
    for read in (
        lambda: read_trace(tiny, path),
        lambda: read_capacities(tiny, path),
        lambda: read_trace(tiny, good, path),
    ):
        try:
            found = read()
        except IdnError:
            continue
        assert ((found.requests if isinstance(found, Trace) else found) >= 0.0).all()


@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tiny: Network, folder: Path, content: bytes) -> None:
    path = written(folder, REQUESTS.encode() + content, "bytes.csv")
    with contextlib.suppress(IdnError):
        read_trace(tiny, path)
