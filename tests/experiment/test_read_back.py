"""What --resume reads back: as it was written, or refused in a line that names the file, before anything is played."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import comparable, in_process
from hypothesis import given
from hypothesis import strategies as st

from idn_gym.errors import IdnError
from idn_gym.experiment import folders, record_files, records
from idn_gym.experiment.folders import locked
from idn_gym.experiment.record_tables import Changes, read_fractional, read_slots
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network

OUTAGES = "workload.capacity={kind: outages, probability: 0.4, duration: 2, remaining: 0.5}"
SPECS = tuple(
    RunSpec(load_scenario("tiny", [OUTAGES]), AgentSpec(agent), seed=4, slots=7) for agent in ("random", "infida")
)
COMMAND = ("run", "tiny", "--set", OUTAGES, "--agent", "random", "--agent", "infida", "--seed", 4, "--slots", 7)
FILES = (
    *("run.json", "requests.csv", "capacities.csv"),
    *("random/slots.csv", "random/allocations.csv", "random/result.json"),
    *("infida/slots.csv", "infida/allocations.csv", "infida/fractional.json", "infida/result.json"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run, without plots."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    records.run(SPECS, folder, command=["idn-gym", *map(str, COMMAND)])
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def resume(folder: Path) -> list[Result]:
    """The results of the run there; nobody plays."""

    def progress(agent: str, played: int, slots: int) -> None:
        pytest.fail(f"{agent} plays")

    return records.run(SPECS, folder, resume=True, progress=progress)[2]


def put(**changes: Any) -> Callable[[Path], None]:
    """Set keys of a JSON object."""
    return lambda path: edit(path, lambda values: values | changes)


def drop(key: str) -> Callable[[Path], None]:
    """Leave out a key of a JSON object."""
    return lambda path: edit(path, lambda values: {name: value for name, value in values.items() if name != key})


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text())), indent=1) + "\n")


def text(change: Callable[[str], str]) -> Callable[[Path], None]:
    """Change the text of a file."""
    return lambda path: (path.write_text(change(path.read_text())), None)[1]


def gone(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cell(line: int, column: int, value: str) -> Callable[[Path], None]:
    """Change one value of a CSV file."""

    def changed(content: str) -> str:
        rows = [row.split(",") for row in content.splitlines()]
        rows[line][column] = value
        return "\n".join(map(",".join, rows)) + "\n"

    return text(changed)


DAMAGE: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "another format": ("run.json", put(format="idn-gym/run-9"), "format 'idn-gym/run-9'; must be 'idn-gym/run-1'"),
    "no format": ("run.json", drop("format"), "format 'None'; must be"),
    "another numpy": (
        "run.json",
        lambda path: edit(path, lambda values: values | {"versions": values["versions"] | {"numpy": "1.0"}}),
        f"numpy 1.0 there and {np.__version__} here",
    ),
    "another package": (
        "run.json",
        lambda path: edit(path, lambda values: values | {"versions": values["versions"] | {"theirs": "3", "x": "1"}}),
        "theirs 3 there and none here (and 1 more)",
    ),
    "no versions": ("run.json", put(versions=None), "versions: None; not what a run writes"),
    "other slots": ("run.json", put(slots=8), "other slots"),
    "no digests": ("run.json", drop("digests"), "without digests"),
    "an added key": ("run.json", put(note="mine"), "not as the run wrote it"),
    "a request more": ("requests.csv", cell(3, 3, "99"), "not as the run wrote it"),
    "no requests": ("requests.csv", gone, "missing; give another folder"),
    "a folder of requests": ("requests.csv", a_folder, "not as the run wrote it"),
    "a capacity more": ("capacities.csv", cell(1, 3, "99"), "not as the run wrote it"),
    "no capacities": ("capacities.csv", gone, "missing"),
    "slots of nan": ("random/slots.csv", cell(3, 2, "nan"), "not as the run wrote it"),
    "another gain": ("random/slots.csv", cell(3, 2, "1.5"), "not as the run wrote it"),
    "empty slots": ("random/slots.csv", text(lambda content: ""), "not as the run wrote it"),
    "a slot less": ("infida/slots.csv", text(lambda content: content.rpartition("\n7,")[0]), "not as the run wrote it"),
    "no slots": ("infida/slots.csv", gone, "missing"),
    "a far slot": ("infida/allocations.csv", cell(1, 0, "99999"), "not as the run wrote it"),
    "no allocations": ("random/allocations.csv", gone, "missing"),
    "another fraction": (
        "infida/fractional.json",
        text(lambda content: content.replace(":0.", ":0.0", 1)),
        "not as the run wrote it",
    ),
    "no fractions": ("infida/fractional.json", gone, "missing"),
    "an empty result": ("infida/result.json", text(lambda content: "{}"), "without digests"),
    "another total": ("infida/result.json", put(gain=1.0), "not as the run wrote it"),
    "another info": ("random/result.json", put(info={"certified_bound": 1.0}), "not as the run wrote it"),
    "seconds of text": ("random/result.json", put(seconds="1"), "not as the run wrote it"),
    "negative seconds": ("random/result.json", put(seconds=-1.0), "seconds -1.0; must be a number >= 0"),
    "endless seconds": ("random/result.json", put(seconds=10**400), "must be a number >= 0"),
    "seconds a bool": ("random/result.json", put(seconds=True), "seconds True; must be a number >= 0"),
}


class TestDamage:
    @pytest.mark.parametrize("name", DAMAGE)
    def test_is_named_and_nothing_is_played(self, folder: Path, name: str) -> None:
        """Also where the other agent has to play yet: it would be in vain."""
        path, change, says = DAMAGE[name]
        other = {"random": "infida", "infida": "random"}.get(path.partition("/")[0])
        if other:
            (folder / other / "result.json").unlink()
        change(folder / path)
        before = comparable(folder)
        with pytest.raises(IdnError) as error:
            resume(folder)
        assert says in str(error.value)
        assert str(folder if says == "other slots" else folder / path) in str(error.value)
        assert comparable(folder) == before

    @pytest.mark.parametrize(
        "name", ["another numpy", "a request more", "slots of nan", "no fractions", "another info"]
    )
    def test_by_the_command(self, folder: Path, name: str) -> None:
        path, change, says = DAMAGE[name]
        change(folder / path)
        outcome = in_process(*COMMAND, "--output", folder, "--resume")
        assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
        assert str(folder / path) in outcome.stderr
        assert says in outcome.stderr

    def test_what_no_agent_wrote(self, folder: Path) -> None:
        """A file that only other agents leave, and one where the folder of an agent should be."""
        shutil.copy(folder / "infida" / "fractional.json", folder / "random")
        with pytest.raises(IdnError, match=r"random/fractional.json: not as the run wrote it; delete .*random and"):
            resume(folder)
        shutil.rmtree(folder / "random")
        (folder / "random").touch()
        with pytest.raises(IdnError, match="random: is a file; must be the folder of an agent"):
            resume(folder)

    def test_a_result_of_another_agent(self, folder: Path) -> None:
        shutil.rmtree(folder / "random")
        shutil.copytree(folder / "infida", folder / "random")
        with pytest.raises(IdnError, match=r"random/result.json: of agent infida; must be random"):
            resume(folder)

    def test_the_advice_helps(self, folder: Path, whole: Path) -> None:
        """With the agent's folder deleted, the run ends as one that nothing happened to."""
        gone(folder / "infida" / "slots.csv")
        with pytest.raises(IdnError, match=rf"delete {folder / 'infida'} and give --resume"):
            resume(folder)
        shutil.rmtree(folder / "infida")
        records.run(SPECS, folder, resume=True)
        assert comparable(folder) == comparable(whole)

    def test_what_is_left_out_of_the_digests(self, folder: Path) -> None:
        """What was typed, which may be typed otherwise, and what a clock says."""
        put(command=["idn-gym", "run"])(folder / "run.json")
        put(seconds=3.5)(folder / "random" / "result.json")
        assert resume(folder)[0].seconds == 3.5


class TestTables:
    """Each reader by itself, as for a record whose digests somebody has made to fit."""

    NETWORK = Network.compile(load_scenario("tiny"))
    HEAD = "slot,requests,gain,cost,latency_ms,inaccuracy,model_update_mb\n"

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "columns ''; must be 'slot,requests,"),
            ("slot,requests,gain\n0,1,1\n", "columns 'slot,requests,gain'"),
            (HEAD.replace("gain,cost", "cost,gain") + "0,1,1,1,1,1,1\n", "columns 'slot,requests,cost,gain"),
            (HEAD, "0 slots; must be at least 1"),
            (HEAD + "0,1,1,1,1,1,1\n1,1,1,1,1,1\n", ":3: 6 values; must be 7"),
            (HEAD + "0,1,x,1,1,1,1\n", ":2: 'x'; must be a number"),
            (HEAD + "0,1,nan,1,1,1,1\n", ":2: 0,1,nan,1,1,1,1: not finite numbers"),
            (HEAD + "0,1,1,1,1,1,1\n1,1,1,1,1,1,inf\n", ":3: 1,1,1,1,1,1,inf: not finite numbers"),
            (HEAD + "0,1,1,1,1,1,1\n2,1,1,1,1,1,1\n", ":3: 2,1,1,1,1,1,1: not the slot that comes next"),
            (HEAD + "0,-1,1,1,1,1,1\n", ":2: 0,-1,1,1,1,1,1: a negative number of requests"),
            (HEAD + '0,1,1,1,1,1,"1\n', "not CSV"),
        ],
    )
    def test_slots(self, tmp_path: Path, content: str, says: str) -> None:
        path = tmp_path / "slots.csv"
        path.write_text(content)
        with pytest.raises(IdnError) as error:
            read_slots(path)
        assert str(error.value).startswith(str(path))
        assert says in str(error.value)

    def test_as_many_slots_as_the_run(self, tmp_path: Path) -> None:
        (tmp_path / "slots.csv").write_text(self.HEAD + "0,1,1,1,1,1,1\n")
        assert read_slots(tmp_path / "slots.csv", 1).gain.tolist() == [1.0]
        with pytest.raises(IdnError, match="1 slots; must be 2"):
            read_slots(tmp_path / "slots.csv", 2)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "no allocation; must have that of slot 0"),
            ("1,,\n", ":2: slot '1'; must be a whole number in 0..0"),
            ("0,,\n5,,\n", ":3: slot '5'; must be a whole number in 0..4"),
            ("0,,\n99999,bs0,cars/small\n", "slot '99999'"),
            ("0,,\n3,,\n2,,\n", ":4: slot '2'; must be a whole number in 3..4"),
            ("0,,\n-1,,\n", "slot '-1'"),
            ("0,,\n1.0,,\n", "slot '1.0'"),
            ("0,bs9,cars/small\n", ":2: node 'bs9', model 'cars/small': no placement"),
            ("0,bs0,cars/huge\n", "model 'cars/huge': no placement"),
            ("0,cloud,cars/large\n", "no placement"),
            ("0,bs0,\n", "model '': no placement"),
            ("0,bs0,cars/small\n0,bs0,cars/small\n", ":3: node 'bs0', model 'cars/small': a second time"),
            ("0,,\n0,bs0,cars/small\n", ":3: node 'bs0', model 'cars/small': a second time, or in an empty"),
            ("0,bs0,cars/small\n0,,\n", "no placement"),
            ("0,bs0\n", "2 values; must be 3"),
        ],
    )
    def test_changes(self, tmp_path: Path, content: str, says: str) -> None:
        path = tmp_path / "allocations.csv"
        path.write_text("slot,node,model\n" + content)
        with pytest.raises(IdnError) as error:
            list(Changes(self.NETWORK, path, 5))
        assert says in str(error.value)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "not JSON"),
            ("[]", "an allocation maps each node"),
            ("{}", "fractions of 0 placements; must be those of all 18"),
            ('{"bs0": {"cars/small": NaN}}', "NaN is not a number"),
            ('{"bs0": {"cars/small": 1.5}}', "1.5; must be a number in"),
            ('{"bs9": {"cars/small": 1}}', "unknown node 'bs9'"),
        ],
    )
    def test_fractions(self, tmp_path: Path, content: str, says: str) -> None:
        path = tmp_path / "fractional.json"
        path.write_text(content)
        with pytest.raises(IdnError) as error:
            read_fractional(self.NETWORK, path)
        assert says in str(error.value)

    def test_a_state_without_its_column(self, folder: Path) -> None:
        """Or the other way round: what is missing is not taken for what never was."""
        kept = json.loads((folder / "infida" / "result.json").read_text())
        del kept["digests"]["fractional.json"]
        (folder / "infida" / "result.json").write_text(json.dumps(kept))
        gone(folder / "infida" / "fractional.json")
        with pytest.raises(IdnError, match=r"fractional.json: goes with a column fractional_gain"):
            record_files.read_result(self.NETWORK, folder / "infida", AgentSpec("infida"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[Path], None]:
    """Something that may happen to a record folder."""
    path, other = draw(st.sampled_from(FILES)), draw(st.sampled_from(FILES))
    where, junk = draw(st.floats(0.0, 1.0)), draw(st.binary(max_size=8) | st.text(max_size=8).map(lambda t: t.encode()))
    key, value = draw(st.integers(0, 20)), draw(JSON)
    kind = draw(st.sampled_from(("gone", "cut", "replaced", "inserted", "overwritten", "copied", "folder", "key")))

    def mutate(folder: Path) -> None:
        at = folder / path
        content = at.read_bytes()
        n = int(where * len(content))
        match kind:
            case "gone" | "folder":
                (gone if kind == "gone" else a_folder)(at)
            case "copied":
                shutil.copy(folder / other, at) if path != other else None
            case "key" if path.endswith(".json"):
                values = json.loads(content)
                values[[*values, "added"][key % (len(values) + 1)]] = value
                at.write_text(json.dumps(values))
            case _:
                kept = {"cut": (n, len(content)), "replaced": (0, len(content)), "overwritten": (n, n + len(junk))}
                start, stop = kept.get(kind, (n, n))
                at.write_bytes(content[:start] + (b"" if kind == "cut" else junk) + content[stop:])

    return mutate


@given(st.lists(mutations(), min_size=1, max_size=2))
def test_whatever_happens_to_a_record(whole: Path, tmp_path_factory: pytest.TempPathFactory, happened: Any) -> None:
    """It is refused in a line, or goes on to the same results as if nothing had."""
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("mutated") / "run"))
    for mutate in happened:
        try:
            mutate(folder)
        except (OSError, ValueError, AttributeError, TypeError):
            return  # the one before left nothing of the kind to change
    try:
        _, _, results = records.run(SPECS, folder, resume=True)
    except IdnError:
        return
    expected = resume(whole)
    assert [result.summary for result in results] == [result.summary for result in expected]
    for result, other in zip(results, expected, strict=True):
        for column, values in other.table.columns().items():
            np.testing.assert_array_equal(result.table.columns()[column], values)
        assert [slot for slot, _ in result.changes] == [slot for slot, _ in other.changes]


class TestLock:
    def test_a_second_process_is_refused(self, folder: Path) -> None:
        """With and without --resume; when the first is done nothing is in the way, and no file left."""
        before = comparable(folder)
        with locked(folder):
            for options in ((), ("--resume",)):
                outcome = in_process(*COMMAND, "--output", folder, *options)
                assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
                assert f"{folder}: another process is at work there" in outcome.stderr
        assert comparable(folder) == before
        assert len(resume(folder)) == 2

    @pytest.mark.parametrize(
        "command", [("reproduce", "fig2", "--budget", "smoke"), ("train", "tiny", "--steps", 10, "--hidden", 2)]
    )
    def test_the_other_commands_that_write_folders(self, tmp_path: Path, command: tuple[object, ...]) -> None:
        if command[0] == "train":
            pytest.importorskip("torch")
        with locked(tmp_path / "out"):
            outcome = in_process(*command, "--output", tmp_path / "out")
        assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
        assert f"{tmp_path / 'out'}: another process is at work there" in outcome.stderr
        assert not list((tmp_path / "out").iterdir())

    def test_a_failure_lets_go(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), locked(tmp_path):
            raise ZeroDivisionError
        with locked(tmp_path), pytest.raises(IdnError, match="another process"), locked(tmp_path):
            pytest.fail("held twice")
        (tmp_path / "file").touch()
        with pytest.raises(IdnError, match="file: is a file; --output takes a folder"), locked(tmp_path / "file"):
            pytest.fail("held a file")

    def test_where_there_are_no_locks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on some network file systems: nobody is refused, and nothing fails."""

        def flock(descriptor: int, operation: int) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", flock)
        with locked(tmp_path / "new"), locked(tmp_path / "new"):
            assert (tmp_path / "new").is_dir()


def test_versions_name_all_that_may_decide_a_result() -> None:
    """Those installed, among them what learners are made of."""
    from importlib.metadata import PackageNotFoundError, version

    found = folders.versions()
    assert {"python", "idn-gym", "numpy", "scipy", "numba", "llvmlite", "gymnasium"} <= set(found)
    for package in ("torch", "triton", "stable-baselines3", "sb3-contrib", "highspy", "networkx", "PyYAML"):
        try:
            assert found[package] == version(package)
        except PackageNotFoundError:
            assert package not in found


def test_what_is_no_json_is_the_agents_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that could not be read back is not written."""

    class Odd:
        def reset(self, network: Network, seed: int) -> None:
            self.P = network.P

        def act(self, observation: Any) -> Any:
            return np.zeros(self.P, dtype=np.int8)

        def info(self) -> dict[str, Any]:
            return {"bound": float("nan")}

    monkeypatch.setattr("idn_gym.plugins.make_agent", lambda name, parameters: Odd())
    with pytest.raises(IdnError, match="agent odd: what it left is not JSON"):
        records.run([RunSpec(load_scenario("tiny"), AgentSpec("odd"), slots=2)], tmp_path / "run")
    assert not (tmp_path / "run" / "odd" / "result.json").exists()
