"""Public traces as request streams: what is read, how it is spread, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import in_process
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from idn_gym import library
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.replay import TWIN, read_counts, replay
from idn_gym.workload import twin
from idn_gym.workload.popularity import popularity
from idn_gym.workload.trace_file import read_trace

DOUBT = 1e-6
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def network() -> Network:
    return Network.compile(load_scenario("tiny", {"slot_seconds": 60.0}))


def written(folder: Path, text: str) -> Path:
    file = folder / "public.csv"
    file.write_text(text)
    return file


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slot_seconds", "counts"),
    [
        ("timestamp\n5\n64.9\n65\n0065.5\n200\n", 60.0, [2, 2, 0, 1]),
        ("TIMESTAMP,tokens\n2023-11-16 18:17:03.9799600,4808\n2023-11-16 18:17:04.98,1\n", 1.0, [1, 1]),
        ("a,timestamp\n,2023-11-16T18:17:05Z\n,2023-11-16T19:17:04+01:00\n,2023-11-16T18:17:04\n", 1.0, [2, 1]),
        ("timestamp,count\n10,3\n0,2\n5,0\n", 5.0, [2, 0, 3]),
        ("minute,count\n0,4\n1,0\n2,7.5\n", 60.0, [4, 0, 7.5]),
        ("minute,mean,count\n7,9,4\n8,9,1\n10,9,2\n", 120.0, [5, 2]),
        ("minute,rate\n0,1.5\n1,2\n", 60.0, [90, 120]),
        ("second,count\n0,1\n10,2\n20,4\n30,8\n", 20.0, [3, 12]),
        (" Hour , Count \n1,5\n\n2,6\n", 3600.0, [5, 6]),
        ('"second","count"\r\n"0","1"\r\n', 1.0, [1]),
    ],
)
def test_formats(tmp_path: Path, text: str, slot_seconds: float, counts: list[float]) -> None:
    assert read_counts(written(tmp_path, text), slot_seconds).tolist() == counts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "public.csv: columns ''; one must be timestamp, second, minute or hour"),
        ("time,count\n0,1\n", "public.csv: columns 'time,count'; one must be timestamp, second, minute or hour"),
        ("minute,mean_rps\n0,1\n", "public.csv: columns 'minute,mean_rps'; with minute, one must be count or rate"),
        ("minute,count,rate\n0,1,1\n", "only one of count, rate is allowed, once"),
        ("minute,timestamp,count\n0,1,1\n", "only one of timestamp, second, minute, hour is allowed, once"),
        ("timestamp,rate\n0,1\n", "a rate goes with a column second, minute or hour; with timestamp, give a count"),
        ("hour,count\n0,1\n", "public.csv: counts by the hour, slots of 60 s; set slot_seconds=3600 or more"),
        ("minute,count\n", "public.csv: no rows; a trace has at least one"),
        ("minute,count\n0\n", "public.csv:2: 1 values; the header has 2"),
        ("minute,count\n0,1\n1,-2\n", "public.csv:3: count '-2'; must be a number >= 0"),
        ("minute,count\n0,1\n1,many\n", "public.csv:3: count 'many'; must be a number >= 0"),
        ("minute,count\n0,nan\n", "public.csv:2: count 'nan'; must be a number >= 0"),
        ("minute,count\ninf,1\n", "public.csv:2: minute 'inf'; must be a number"),
        ("timestamp\nyesterday\n", "public.csv:2: timestamp 'yesterday'; must be a number or a date in ISO 8601"),
        ("timestamp\n1e14\n9e16\n", "slots; at most 1048576 for a file with so few rows (2)"),
        ("timestamp\n0\n1e10\n", "public.csv: 166666667 slots; at most 1048576 for a file with so few rows (2)"),
        ("minute,count\n0,1\n100000000,1\n", "public.csv: 100000001 slots; at most 1048576"),
        ("timestamp\n1e20\n", "public.csv:2: timestamp '1e20'; must be a number or a date in ISO 8601"),
        ("timestamp\n1_0\n", "public.csv:2: timestamp '1_0'; must be a number or a date in ISO 8601"),
        ("timestamp\n\n10:30\n", "public.csv:3: timestamp '10:30'; must be a number or a date in ISO 8601"),
        ("timestamp\n2023-02-30\n", "public.csv:2: timestamp '2023-02-30'; must be a number or a date in ISO 8601"),
        ("timestamp\n161201180123Z\n", "public.csv:2: timestamp '161201180123Z'; must be a number or a date"),
        ("second,count\n1612011801234,1\n", "public.csv:2: second '1612011801234'; must be a number, of less than"),
        ("second,count\n2024-11-15 16,1\n", "1e+11 s; dates and milliseconds go in a column timestamp"),
        ("minute,count\n2e9,1\n", "public.csv:2: minute '2e9'; must be a number, of less than 1e+11 s"),
        ("minute,count\n0,1_0\n", "public.csv:2: count '1_0'; must be a number >= 0"),
        ("minute,count\n0,1e15\n0,1e15\n", "public.csv: 2e+15 requests in a slot; at most 1e+15"),
        ('minute,count\n"0,1\n', "public.csv:2: not CSV"),
    ],
)
def test_errors_through_the_command_line(tmp_path: Path, text: str, says: str) -> None:
    outcome = in_process("replay", "tiny", written(tmp_path, text), "--set", "slot_seconds=60")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert says in outcome.stderr
    assert outcome.stderr.startswith("idn-gym: ")
    assert outcome.stderr.count("\n") == 1


START = 1612011801234  # ms since 1970: 30 January 2021


@pytest.mark.parametrize(
    ("unit", "per_second"), [("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)]
)
def test_numbers_that_are_no_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unit: str, per_second: int
) -> None:
    start = START * per_second // 1000
    minutes = [0, 0, 3, 9]  # each a ms before the next begins, but for the first
    rows = [start] + [start + (60 * minute + 60) * per_second - per_second // 1000 for minute in minutes[1:]]
    file = written(tmp_path, "timestamp\n" + "".join(f"{row}\n" for row in reversed(rows)))
    assert read_counts(file, 60.0).tolist() == [2, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"idn-gym: {file}: timestamps from {1e8 * per_second:g} on, read as {unit}\n"


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        (["10101010", "10101069", "10101070"], [2, 1]),  # not days of the year 1010
        (["20231116", "20231117"], [2]),  # nor of 2023
        (["1612011801", "1612011861.5"], [1, 1]),
        (["16120118", "16120177.9"], [2]),
        (["99999999940", "99999999999.9"], [2]),
        (["-60", "+0", ".5", "59.", "6e1"], [1, 3, 1]),
        (["20231116T1817", "20231116T181830Z", "2023-11-16 18:17:59.999999"], [2, 1]),
        (["2023-W46-4", "2023W464", "2023-11-16"], [3]),
        (["1612-01-18", "1612-01-18 00:01"], [1, 1]),
    ],
)
def test_a_plain_number_is_seconds_and_a_date_looks_like_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], counts: list[int]
) -> None:
    assert read_counts(written(tmp_path, "\n".join(["timestamp", *rows])), 60.0).tolist() == counts
    assert capsys.readouterr().err == ""


FORMATS = {
    "seconds": "1612011801",
    "milliseconds": "1612011801234",
    "microseconds": "1.612011801e15",
    "nanoseconds": "1612011801234567890",
    "dates": "2021-01-30T13:03:21Z",
}


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
def test_one_file_has_one_format(tmp_path: Path, first: str, other: str) -> None:
    if first == other:
        return
    file = written(tmp_path, f"timestamp,count\n{FORMATS[first]},1\n{FORMATS[first]},1\n{FORMATS[other]},1\n")
    outcome = in_process("replay", "tiny", file)
    says = f"idn-gym: {file}:4: timestamp '{FORMATS[other]}': {other}, but {first} in line 2; one file has one format\n"
    assert (outcome.status, outcome.stdout, outcome.stderr) == (2, "", says)


def test_milliseconds_through_the_command_line(tmp_path: Path, network: Network) -> None:
    file = written(tmp_path, "timestamp\n" + "".join(f"{START + 1000 * second}\n" for second in range(600)))
    outcome = in_process("replay", "tiny", file, "--set", "slot_seconds=60", "--output", tmp_path / "requests.csv")
    assert (outcome.status, outcome.stdout) == (0, "")
    assert outcome.stderr == f"idn-gym: {file}: timestamps from 1e+11 on, read as milliseconds\n"
    assert read_trace(network, tmp_path / "requests.csv").requests.sum(axis=1).tolist() == [60.0] * 10


def test_what_cannot_be_spread_or_scaled_is_refused(tmp_path: Path, network: Network) -> None:
    file = written(tmp_path, "minute,count\n0,0\n")
    assert replay(network, file, seed=0).requests.tolist() == [[0.0] * 4]
    with pytest.raises(IdnError, match="no requests; nothing to scale to a rate"):
        replay(network, file, seed=0, rate=3.0)
    with pytest.raises(IdnError, match=r"rate: -1\.0; must be a finite number >= 0"):
        replay(network, file, seed=0, rate=-1.0)
    with pytest.raises(IdnError, match=r"gone\.csv: cannot be read"):
        replay(network, tmp_path / "gone.csv", seed=0)
    outcome = in_process("replay", "adversary", TWIN)
    assert outcome.status == 2
    assert "popularity of a workload of kind zipf or burst" in outcome.stderr


# --- spreading ---------------------------------------------------------------------------------------------------


def test_requests_are_spread_by_popularity(tmp_path: Path) -> None:
    sliding = {"profile": "sliding", "shift": 1, "every": 1, "diurnal": {"amplitude": 1.0, "period": 4}}
    of_workload = {"workload": {"kind": "zipf", "rate": 1.0, "exponent": 1.0, **sliding}, "slot_seconds": 60.0}
    network = Network.compile(load_scenario("tiny", of_workload))
    counts = np.random.default_rng(0).integers(0, 5000, size=40)
    file = written(tmp_path, "minute,count\n" + "".join(f"{t},{n}\n" for t, n in enumerate(counts)))
    trace = replay(network, file, seed=3)
    assert trace.requests.sum(axis=1).tolist() == counts[: trace.slots].tolist()
    share = popularity(network, np.arange(trace.slots))
    for odd in (0, 1):  # popularity is the other way round in every other slot; a sum of multinomials is one
        requests, tries = trace.requests[odd::2].sum(axis=0), int(trace.requests[odd::2].sum())
        for rho in range(network.R):
            law = stats.binom(tries, share[odd, rho])
            assert law.ppf(DOUBT / 16) <= requests[rho] <= law.isf(DOUBT / 16)


def test_a_replay_is_that_of_its_seed(tmp_path: Path, network: Network) -> None:
    text = "minute,count\n" + "".join(f"{t},{10 * t}\n" for t in range(50))
    whole = replay(network, written(tmp_path, text), seed=1).requests
    assert np.array_equal(replay(network, tmp_path / "public.csv", seed=1).requests, whole)
    assert not np.array_equal(replay(network, tmp_path / "public.csv", seed=2).requests, whole)
    shorter = written(tmp_path, "".join(text.splitlines(keepends=True)[:31]))
    assert np.array_equal(replay(network, shorter, seed=1).requests, whole[:30])


def test_counts_are_scaled_to_a_rate(tmp_path: Path, network: Network) -> None:
    file = written(tmp_path, "minute,count\n0,1\n1,0\n2,5\n")
    requests = replay(network, file, seed=0, rate=100.0).requests
    assert requests.sum(axis=1).tolist() == [3000.0, 0.0, 15000.0]  # 18,000 over three slots of a minute


def test_the_command_writes_a_trace_file(tmp_path: Path, network: Network) -> None:
    file = tmp_path / "requests.csv"
    same = ("replay", "tiny", TWIN, "--set", "slot_seconds=60", "--seed", 4)
    assert in_process(*same, "--output", file).status == 0
    assert np.array_equal(read_trace(network, file).requests, replay(network, Path(TWIN), seed=4).requests)
    assert in_process(*same).stdout == file.read_text()
    assert in_process(*same, "--slots", 7, "--output", file).status == 0
    assert read_trace(network, file).slots == 7
    longer = in_process(*same, "--slots", 61)
    assert (longer.status, longer.stderr) == (2, "idn-gym: 61 slots asked for; the trace has 60\n")


# --- the twin, and the real thing --------------------------------------------------------------------------------


def test_the_twin_is_what_its_command_writes(tmp_path: Path) -> None:
    twin.main(tmp_path)
    assert (tmp_path / "twin.csv").read_text() == (Path(library.__file__).parent / "traces" / "twin.csv").read_text()
    counts = read_counts(Path(TWIN), 10.0)
    assert len(counts) == 360
    assert read_counts(Path(TWIN), 60.0).sum() == counts.sum()


@pytest.mark.parametrize("service", ["code", "conv"])
def test_azure_trace_as_published(service: str, network: Network) -> None:
    file = DATA / f"AzureLLMInferenceTrace_{service}.csv"
    if not file.is_file():
        pytest.skip("the Azure traces are kept outside the repository")
    rows = len(file.read_text("utf-8").splitlines()) - 1
    trace = replay(network, file, seed=0)
    assert trace.requests.sum() == rows
    assert trace.slots in (57, 58, 59, 60)


def test_twitter_counts_by_the_minute(tmp_path: Path, network: Network) -> None:
    file = DATA / "twitter_stream_2021_08_per_minute.csv"
    if not file.is_file():
        pytest.skip("the Twitter counts are kept outside the repository")
    rows = file.read_text("utf-8").splitlines()[1:501]
    renamed = written(tmp_path, "\n".join(["minute,rate,max", *rows]))
    counts = read_counts(renamed, network.scenario.slot_seconds)
    assert counts == pytest.approx([60.0 * float(row.split(",")[1]) for row in rows])


# --- whatever a file holds ---------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.sampled_from([*FORMATS.values(), "0", "-1", "1e11", "1e300", "nan", "inf", "", " 7 ", "2023-11-16", "10:10"]),
    st.sampled_from(
        ["0001-01-01T00:00+14:00", "9999-12-31T23:59:59.9-14:00", "2023-11-16T18:17:05+99:00", "20231116T"]
    ),
    st.text(max_size=5),
    st.floats().map(repr),
)
COLUMNS = st.sampled_from(["timestamp", "second", "minute", "hour", "count", "rate", "Timestamp", "other"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@given(
    columns=st.lists(COLUMNS, min_size=1, max_size=3),
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=5),
    slot_seconds=st.sampled_from([1e-9, 1.0, 60.0, 3600.0, 1e15]),
)
def test_any_file_is_read_or_refused(
    folder: Path, columns: list[str], rows: list[list[str]], slot_seconds: float
) -> None:
    cut = [(row * 3)[: len(columns)] for row in rows]
    text = "\n".join(",".join(row) for row in [columns, *cut])
    (folder / "any.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        counts = read_counts(folder / "any.csv", slot_seconds)
    except IdnError:
        return
    assert len(counts) <= 2**20
    assert (counts >= 0.0).all()
