"""Trace files: what is written reads back to the same numbers, and what is wrong is named with file, line and value."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idn_gym.errors import IdnError
from idn_gym.network import Network
from idn_gym.scenario import parse
from idn_gym.scenario_file import load_scenario
from idn_gym.trace import Trace, capacities_csv, header, number, read_capacities, read_trace, requests_csv

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
    (folder / "r.csv").write_text(requests_csv(network, trace), "utf-8")
    (folder / "c.csv").write_text(capacities_csv(network, trace), "utf-8")
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
    assert requests_csv(tiny, trace) == REQUESTS + "0,people,bs1,2\n1,cars,bs0,0.25\n2,cars,bs0,0\n"
    assert capacities_csv(tiny, trace) == CAPACITIES + "2,bs1,cars/large,1.5\n"


def test_a_trace_file_is_plain_csv(folder: Path) -> None:
    network = odd_names()
    trace = Trace(np.arange(network.R, dtype=float)[None], network.capacities[None])
    rows = list(csv.reader(io.StringIO(requests_csv(network, trace))))
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


def test_the_header_tells_a_file_s_kind(folder: Path) -> None:
    assert header(written(folder, CAPACITIES)) == CAPACITIES.strip().split(",")
    assert header(written(folder, "\ufeff" + CAPACITIES.replace("\n", "\r\n"))) == CAPACITIES.strip().split(",")
    assert header(written(folder, "")) == []


# --- errors -----------------------------------------------------------------------------------------------------

NOT_A_SLOT = "r.csv:2: slot '{}'; must be a whole number >= 0"
NOT_A_COUNT = "r.csv:2: requests '{}'; must be a number from 0 to 1e+18"


def refused(network: Network, path: Path, expected: str, capacities: bool = False) -> None:
    """Reading must fail with a message of one line that starts with `expected`, which starts with the file's name."""
    read = (lambda: read_capacities(network, path, 2)) if capacities else (lambda: read_trace(network, path))
    with pytest.raises(IdnError, match=f"^{re.escape(str(path.parent / expected))}") as caught:
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
    refused(tiny, written(folder, CAPACITIES), "r.csv: columns 'slot,node,model,capacity'; must be 'slot,task,source")
    path = written(folder, REQUESTS)
    refused(
        tiny, path, "r.csv: columns 'slot,task,source,requests'; must be 'slot,node,model,capacity'", capacities=True
    )


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
        ("0,Cars,bs0,1\n", "r.csv:2: unknown task 'Cars'; allowed: cars, people"),
        ("0,cars,bs0,1\n0,cars,bs9,1\n", "r.csv:3: unknown source 'bs9'; must be an entry node"),
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
        ("0,ca\0rs,bs0,1\n", r"r.csv:2: unknown task 'ca\x00rs'; allowed: cars, people"),
        ("99999999999,cars,bs0,1\n", "r.csv: 100000000000 slots of 4 values; at most "),
        ("200000000,cars,bs0,1\n", "r.csv: 200000001 slots of 4 values; at most "),
    ],
)
def test_faults_of_traces(tiny: Network, folder: Path, rows: str, expected: str) -> None:
    refused(tiny, written(folder, REQUESTS + rows), expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("0,bs9,cars/small,1\n", "r.csv:2: unknown node 'bs9'; allowed: cloud, co, bs0, bs1"),
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


def test_huge_slots_of_a_capacity_file_are_refused(tiny: Network, folder: Path) -> None:
    path = written(folder, CAPACITIES + "99999999999,bs0,cars/small,1\n")
    with pytest.raises(IdnError, match=r"r.csv: 100000000000 slots of 18 values; at most"):
        read_capacities(tiny, path)


def test_files_that_cannot_be_read(tiny: Network, folder: Path) -> None:
    refused(tiny, folder / "missing.csv", "missing.csv: cannot be read: No such file or directory")
    refused(tiny, folder, f"{folder.name}: cannot be read: Is a directory")
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
