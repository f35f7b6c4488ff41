"""Every kind of file given to every command that takes another: one line says what it is, and where it goes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Outcome, in_process

from idn_gym.scenario import kinds
from idn_gym.scenario.kinds import Kind, kind_of

pytestmark = pytest.mark.commands

GRAPH = 'graph [ node [ id 0 label "a" ] node [ id 1 label "b" ] edge [ source 0 target 1 ] ]\n'

# file -> its kind; the files of a run, a sweep and an optimum are those that the commands write
KINDS: dict[str, Kind] = {
    "scenario.yaml": kinds.SCENARIO,
    "scenario.json": kinds.SCENARIO,
    "nameless.yaml": kinds.SCENARIO,
    "sweep.yaml": kinds.SWEEP,
    "certificate.json": kinds.CERTIFICATE,
    "run/requests.csv": kinds.TRACE,
    "capacities.csv": kinds.CAPACITY,
    "allocation.json": kinds.ALLOCATION,
    "fractional.json": kinds.ALLOCATION,
    "run/random/allocations.csv": kinds.PLACED,
    "run/random/slots.csv": kinds.SLOTS,
    "run/random/result.json": kinds.RESULT,
    "run/run.json": kinds.RUN,
    "swept/sweep.json": kinds.SWEPT,
    "swept/table.csv": kinds.TABLE,
    "public.csv": kinds.PUBLIC,
    "network.gml": kinds.GRAPH,
    "agent.py": kinds.AGENT,
    "training/policy.json": kinds.TRAINING,
    "./run": kinds.RECORD_FOLDER,
    "run/random": kinds.AGENT_FOLDER,
    "./swept": kinds.SWEEP_FOLDER,
    "./training": kinds.TRAINING_FOLDER,
    "./empty": kinds.FOLDER,
}
# command with a gap for a file -> the kinds that it takes there
COMMANDS: dict[str, tuple[Kind, ...]] = {
    "show {}": (kinds.SCENARIO,),
    "run {} --agent random": (kinds.SCENARIO,),
    "trace {}": (kinds.SCENARIO,),
    "optimum {}": (kinds.SCENARIO,),
    "run tiny --agent random --trace {}": (kinds.TRACE,),
    "run tiny --agent random --trace run/requests.csv --capacities {}": (kinds.CAPACITY,),
    "evaluate tiny --requests run/requests.csv --allocation {}": (kinds.ALLOCATION, kinds.PLACED),
    "evaluate tiny --allocation allocation.json --requests {}": (kinds.TRACE,),
    "sweep {}": (kinds.SWEEP,),
    "verify {}": (kinds.CERTIFICATE,),
    "replay tiny {}": (kinds.PUBLIC,),
    "check allocation.json --scenario {}": (kinds.SCENARIO,),
}
CHECKED = (
    *(kinds.SCENARIO, kinds.SWEEP, kinds.TRACE, kinds.CAPACITY, kinds.ALLOCATION, kinds.PLACED),
    kinds.SLOTS,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a file of each kind; the current one."""
    folder = tmp_path_factory.mktemp("kinds")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "scenario.yaml").write_text(ok("show", "tiny", "--yaml").stdout)
        shown = json.loads(ok("show", "tiny", "--json").stdout)["scenario"]
        (folder / "scenario.json").write_text(json.dumps(shown))
        (folder / "nameless.yaml").write_text((folder / "scenario.yaml").read_text().replace("format:", "fromat:"))
        sweep = {"format": "idn-gym/sweep-1", "scenarios": ["tiny"], "agents": ["random"], "seeds": [0], "slots": 2}
        (folder / "sweep.yaml").write_text(json.dumps(sweep))
        (folder / "capacities.csv").write_text("slot,node,model,capacity\n0,bs0,cars/small,2\n")
        (folder / "allocation.json").write_text('{"bs0": ["cars/small"]}')
        (folder / "fractional.json").write_text('{"bs0": {"cars/small": 0.5}, "co": {}}')
        (folder / "public.csv").write_text("timestamp,count\n0,3\n60,4\n")
        (folder / "network.gml").write_text(GRAPH)
        (folder / "agent.py").write_text("class Mine:\n    pass\n")
        (folder / "training").mkdir()
        (folder / "training" / "policy.json").write_text('{"format": "idn-gym/policy-1"}')
        (folder / "empty").mkdir()
        ok("run", "tiny", "--agent", "random", "--slots", 3, "--output", "run")
        ok("sweep", "sweep.yaml", "--workers", 1, "--output", "swept")
        ok("optimum", "tiny", "--slots", 2, "--certificate", "certificate.json")
        yield folder


def ok(*command: object) -> Outcome:
    """What a command that must succeed left."""
    outcome = in_process(*command)
    assert outcome.status == 0, outcome.stderr
    return outcome


def test_kinds(folder: Path) -> None:
    assert {name: kind_of(Path(name)) for name in KINDS} == KINDS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_wrong_kind(folder: Path, command: str) -> None:
    for name, kind in KINDS.items():
        if kind in COMMANDS[command]:
            continue
        before = sorted(folder.rglob("*"))
        outcome = in_process(*command.format(name).split(" "))
        assert (outcome.status, outcome.stdout) == (2, ""), name
        assert outcome.stderr.count("\n") == 1, outcome.stderr
        assert f"{Path(name)}: " in outcome.stderr
        assert f"this is {kind.name}, not {COMMANDS[command][0].name}" in outcome.stderr, (name, outcome.stderr)
        assert kind.use in outcome.stderr
        assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", [name for name in KINDS if name != "nameless.yaml"])
def test_check(folder: Path, name: str) -> None:
    """What is of a kind that it checks is valid; of others it says where they go."""
    of_network = KINDS[name] not in (kinds.SCENARIO, kinds.SWEEP, kinds.SLOTS)
    outcome = in_process("check", name, *(["--scenario", "tiny"] if of_network else []))
    if KINDS[name] in CHECKED:
        assert (outcome.status, outcome.stderr) == (0, "")
        return
    assert (outcome.status, outcome.stdout) == (2, "")
    assert f"this is {KINDS[name].name}" in outcome.stderr
    assert KINDS[name].use in outcome.stderr


def test_a_broken_file_of_the_right_kind_is_told_its_fault(folder: Path) -> None:
    assert "fromat: unknown key; did you mean 'format'?" in in_process("show", "nameless.yaml").stderr
    (folder / "slip.yaml").write_text((folder / "sweep.yaml").read_text().replace("agents", "agnets"))
    assert "agnets: unknown key; did you mean 'agents'?" in in_process("sweep", "slip.yaml").stderr
    certificate = (folder / "certificate.json").read_text().replace('"leaves"', '"leafs"')
    (folder / "slip.json").write_text(certificate)
    assert "leafs: unknown key; did you mean 'leaves'?" in in_process("verify", "slip.json").stderr


def test_a_large_file_is_told_by_how_it_begins(folder: Path) -> None:
    certificate = (folder / "certificate.json").read_text()
    (folder / "large.json").write_text(certificate[:-2] + " " * 2**21 + "}\n")
    assert kind_of(folder / "large.json") == kinds.CERTIFICATE
    (folder / "large.csv").write_text("slot,task,source,requests\n" + "0,cars,bs0,1\n" * 10**5)
    assert kind_of(folder / "large.csv") == kinds.TRACE


def test_what_is_of_no_kind(folder: Path) -> None:
    (folder / "notes.md").write_text("# Notes\n\nnone: of, this\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    assert [kind_of(folder / name) for name in ("notes.md", "picture.png", "missing")] == [None, None, None]
    assert "picture.png: not UTF-8 text" in in_process("show", "picture.png").stderr


def test_a_missing_file_and_one_beside_it(folder: Path) -> None:
    assert (
        "cannot be read: No such file or directory; did you mean 'scenario.yaml'?"
        in in_process("show", "scenaro.yaml").stderr
    )
    shutil.copy(folder / "scenario.yaml", folder / "mine")
    assert "for the file of that name give ./mine" in in_process("show", "mine").stderr
    assert ok("show", "./mine")


# what was typed -> words of the answer
NAMES = {
    "run IDN/Tiny-v1 --agent random": "no id 'IDN/Tiny-v1': there is no such version; did you mean 'IDN/Tiny-v0'?",
    "show IDN/Tiny": "did you mean 'IDN/Tiny-v0'?",
    "show IDN/TopologyI-Slidng-v0": "no id 'IDN/TopologyI-Slidng-v0'; did you mean 'IDN/TopologyI-Sliding-v0'?",
    "show IDN/Scenario-v0": "in Python; here give that scenario",
    "show topology-1-slidng": "no scenario 'topology-1-slidng'; did you mean 'topology-1-sliding'?",
    "show tiny --set nodes.bs9.budget=3": "no 'bs9' among the nodes; did you mean 'bs0'? allowed: cloud, co, bs0, bs1",
    "show tiny --set models.cars/smal.accuracy=3": "did you mean 'cars/small'?",
    "show tiny --set node.bs0.budget=3": "node: unknown key; did you mean 'nodes'?",
    "show tiny --set nodes.bs0.buget=3": "nodes.bs0.buget: unknown key; did you mean 'budget'?",
    "show tiny --set workload.profile=slidng": "workload.profile: 'slidng'; did you mean 'sliding'?",
    "show tiny --set workload.kind=brust": "workload.kind: 'brust'; did you mean 'burst'?",
    "show tiny --set models.cars/small.task=car": "unknown task 'car'; did you mean 'cars'?",
    "show tiny --set nodes.bs0.processor=egde": "'egde'; did you mean 'edge'?",
    "show tiny --set links.0.target=c0": "unknown node 'c0'",
}


@pytest.mark.parametrize("command", NAMES)
def test_names_that_are_misspelt(command: str) -> None:
    outcome = in_process(*command.split(" "))
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.count("\n") == 1
    assert NAMES[command] in outcome.stderr
