"""``idn-gym train``: what it writes, what it refuses, and that what it trained can be run."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Outcome, idn_gym, in_process

torch = pytest.importorskip("torch")

from idn_agents.learning.checkpoint import load_policy  # noqa: E402
from idn_agents.learning.folder import TrainingFolder, read_curve  # noqa: E402
from idn_agents.learning.policy import FlatView  # noqa: E402
from idn_agents.learning.ppo_torch import PPO, Trainer, make_policy  # noqa: E402

from idn_gym.library.load import load_scenario  # noqa: E402
from idn_gym.model.network import Network  # noqa: E402

pytestmark = pytest.mark.commands

SHORT = ("--steps", "320", "--envs", "4", "--slots", "20", "--seed", "3")


def curve(folder: Path) -> list[dict[str, float]]:
    return [
        {key: value for key, value in row.items() if key != "cpu_seconds"} for row in read_curve(folder / "curve.csv")
    ]


def weights(folder: Path) -> dict[str, Any]:
    return load_policy(folder).state_dict()


def test_the_command_trains_an_agent_that_runs(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    done = idn_gym("train", "tiny", *SHORT, "--output", folder, "--hidden", 8, "--tensorboard", "--json")
    assert done.status == 0, done.stderr
    document = json.loads(done.stdout)
    assert [row["steps"] for row in document["curve"]] == [80.0, 160.0, 240.0, 320.0]
    assert {path.name for path in folder.iterdir()} == {
        *("train.json", "curve.csv", "state.pt", "policy.json", "policy.pt", "tensorboard")
    }
    assert list((folder / "tensorboard").iterdir())
    kept = json.loads((folder / "train.json").read_text())
    assert kept["scenarios"] == [load_scenario("tiny").to_dict()]
    assert (kept["algo"], kept["seed"], kept["options"]["steps"], kept["policy"]["hidden"]) == ("ppo-torch", 3, 320, 8)
    assert kept["command"][:3] == ["idn-gym", "train", "tiny"]
    ran = idn_gym("run", "tiny", "--agent", "infida", "--agent", f"ppo:path={folder}", "--slots", 10, "--json")
    assert ran.status == 0, ran.stderr
    rows = json.loads(ran.stdout)["agents"]
    assert rows[1]["agent"] == f"ppo:path={folder}"
    assert rows[1]["gain"] > 0.0


def test_interrupted_and_resumed_it_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("train", "tiny", *SHORT, "--hidden", 8)
    assert in_process(*arguments, "--output", tmp_path / "whole").status == 0
    append = TrainingFolder.append

    def interrupted(self: TrainingFolder, row: Any, state: Any) -> None:
        if len(self.rows) == 2:
            raise KeyboardInterrupt
        append(self, row, state)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingFolder, "append", interrupted)
        assert in_process(*arguments, "--output", tmp_path / "parts").status != 0
    assert len(curve(tmp_path / "parts")) == 2
    assert not (tmp_path / "parts" / "policy.json").exists(), "not complete yet"
    assert in_process(*arguments, "--output", tmp_path / "parts", "--resume").status == 0
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    for key, value in weights(tmp_path / "whole").items():
        if not key.startswith("critic"):
            assert torch.equal(weights(tmp_path / "parts")[key], value), key
    again = in_process(*arguments, "--output", tmp_path / "parts", "--resume", "--json")
    assert len(json.loads(again.stdout)["curve"]) == 4, "complete: nothing is left to do"


@pytest.mark.parametrize("algo", ["ppo", "a2c", "sac", "maskable-ppo"])
def test_sb3_trains_resumes_and_leaves_weights_that_need_no_sb3(algo: str, tmp_path: Path) -> None:
    sb3_training = pytest.importorskip("idn_agents.learning.sb3_training")
    scenario = load_scenario("tiny")
    options = sb3_training.SB3(algo, steps=96, envs=4, slots=8, hidden=8)
    trainer = sb3_training.SB3Trainer(scenario, options, 1)
    state = torch.random.get_rng_state()
    assert trainer.policy is not None
    assert torch.equal(torch.random.get_rng_state(), state), "looking at the policy changes training"
    rows = [next(trainer.chapters()) for _ in range(2)]
    other = sb3_training.SB3Trainer(scenario, options, 2)
    other.restore(trainer.state())
    for key, value in trainer.policy.state_dict().items():
        if not key.startswith("critic"):
            assert torch.equal(other.policy.state_dict()[key], value), f"{key}: resumed where it was"
    rest = list(other.chapters())
    if rest:  # on-policy algorithms collect whole rollouts, and may be past the end already
        assert rest[0]["steps"] > rows[-1]["steps"]
        assert rest[-1]["steps"] >= 96
    assert all(np.isfinite(list(row.values())).all() for row in rows + rest)
    network = Network.compile(scenario)
    seen = torch.rand(5, FlatView.width(network))
    with torch.no_grad():
        scores = trainer.policy(seen, FlatView(network))
        actor = trainer.model.policy
        if algo == "sac":
            expected = actor.actor.mu(actor.actor.latent_pi(seen))
        else:
            logits = actor.action_net(actor.mlp_extractor.forward_actor(seen))
            expected = logits[:, 1::2] - logits[:, 0::2] if algo == "maskable-ppo" else logits
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)


def test_sb3_by_the_command(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    folder = tmp_path / "theirs"
    done = idn_gym("train", "tiny", "--algo", "a2c", *SHORT, "--hidden", 8, "--output", folder)
    assert done.status == 0, done.stderr
    assert not list(folder.glob("*.zip")), "weights alone"
    assert load_policy(folder).config()["kind"] == "flat"
    ran = in_process("run", "tiny", "--agent", f"ppo:path={folder}", "--slots", 5, "--json")
    assert ran.status == 0, ran.stderr
    other = in_process("run", "topology-2-bursty", "--agent", f"ppo:path={folder}", "--slots", 5)
    assert (other.status, other.stdout) == (2, "")
    assert "flat policy for P = 18" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--algo", "dqn"), "--algo: 'dqn'; allowed: ppo-torch, ppo, a2c, sac, maskable-ppo"),
        (("--algo", "a2c", "--policy", "placement"), "--policy: goes with --algo ppo-torch, not a2c"),
        (("--algo", "sac", "--rates", "2"), "--rates: goes with --algo ppo-torch, not sac"),
        (("--algo", "ppo", "--also", "tiny"), "--also: goes with --algo ppo-torch, not ppo"),
        (("--policy", "deep"), "policy: 'deep'; allowed: placement, flat"),
        (("--policy", "flat", "--also", "greedy-trap"), "different sizes"),
        (("--device", "abacus"), "--device: 'abacus'"),
        (("--learning-rate", "inf"), "--learning-rate: inf"),
    ],
)
def test_what_does_not_go_is_one_line_and_leaves_nothing(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = in_process("train", "tiny", *SHORT, "--output", tmp_path / "new", *arguments)
    assert (done.status, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_or_of_other_training_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "used"
    assert in_process("train", "tiny", *SHORT, "--hidden", 4, "--output", folder).status == 0
    again = in_process("train", "tiny", *SHORT, "--hidden", 4, "--output", folder)
    assert again.status == 2
    assert "not empty; give --resume" in again.stderr
    other = in_process("train", "tiny", *SHORT, "--hidden", 4, "--update-weight", 1, "--output", folder, "--resume")
    assert other.status == 2
    assert "other options" in other.stderr
    missing = in_process("run", "tiny", "--agent", f"ppo:path={tmp_path / 'none'}", "--slots", 2)
    assert missing.status == 2
    assert "cannot be read" in missing.stderr


def test_a_state_that_is_not_this_trainings_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    assert in_process("train", "tiny", *SHORT, "--hidden", 4, "--output", folder).status == 0
    (folder / "policy.json").unlink()
    torch.save({"policy": {}, "optimiser": {}, "chapter": 1, "rows": 1}, folder / "state.pt")
    done = in_process("train", "tiny", *SHORT, "--hidden", 4, "--output", folder, "--resume")
    assert done.status == 2
    assert "state.pt: not what this training wrote" in done.stderr


def test_the_curriculum_widens_the_rates_and_reaches_its_end_half_way() -> None:
    scenario = load_scenario("tiny")
    options = PPO(steps=80, envs=2, slots=10, rates=4.0)
    trainer = Trainer([scenario], make_policy("placement", [scenario], 4, 0), options)
    rate = scenario.workload.rate  # type: ignore[union-attr]
    found = []
    for trainer.chapter in range(4):
        found.append([variant["workload.rate"] / rate for variant in trainer._variants() or []])
    np.testing.assert_allclose(found, [[0.5, 2.0], [0.25, 4.0], [0.25, 4.0], [0.25, 4.0]])


# --- what is read back


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of training that ended after three of its four chapters."""
    folder = tmp_path_factory.mktemp("training") / "parts"
    append = TrainingFolder.append

    def stopped(self: TrainingFolder, row: Any, state: Any) -> None:
        if len(self.rows) == 3:
            raise KeyboardInterrupt
        append(self, row, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingFolder, "append", stopped)
        assert in_process("train", "tiny", *SHORT, "--hidden", 4, "--output", folder).status != 0
    assert len(curve(folder)) == 3
    return folder


def resumed(folder: Path) -> Outcome:
    return in_process("train", "tiny", *SHORT, "--hidden", 4, "--output", folder, "--resume")


def lines_of(text: str, *numbers: int) -> str:
    return "".join(f"{text.splitlines()[number]}\n" for number in numbers)


CURVES: dict[str, Callable[[str], str]] = {
    "cut after a row": lambda text: lines_of(text, 0, 1),
    "cut within a row": lambda text: text[: len(text) - 20],
    "a row missing": lambda text: lines_of(text, 0, 1, 3),
    "a row twice": lambda text: lines_of(text, 0, 1, 2, 2),
    "rows in another order": lambda text: lines_of(text, 0, 2, 1, 3),
    "two rows more": lambda text: text + "999,1,1,1,1,1,1,1,1,1\n9999,1,1,1,1,1,1,1,1,1\n",
    "a value changed": lambda text: text.replace("\n160.0,", "\n161.0,"),
    "not finite": lambda text: text.replace("\n80.0,", "\nnan,"),
    "no number": lambda text: text.replace("\n80.0,", "\neighty,"),
    "a column missing": lambda text: "".join(f"{line.rpartition(',')[0]}\n" for line in text.splitlines()),
    "a column renamed": lambda text: text.replace("entropy", "energy", 1),
    "the header alone": lambda text: lines_of(text, 0),
    "empty": lambda text: "",
    "something else": lambda text: "{}",
}


@pytest.mark.parametrize("change", CURVES.values(), ids=CURVES)
def test_a_curve_that_was_not_written_so_is_not_gone_on_with(
    change: Callable[[str], str], interrupted: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(interrupted, tmp_path / "damaged")
    (folder / "curve.csv").write_text(change((folder / "curve.csv").read_text()))
    refused(resumed(folder), "curve.csv")


STATES: dict[str, Callable[[Any], Any]] = {
    "no mapping": lambda state: [],
    "weights missing": lambda state: {**state, "policy": {}},
    "weights of other shapes": lambda state: {**state, "policy": make_policy("placement", [], 5, 0).state_dict()},
    "weights that are not finite": lambda state: put(state, ("policy", "score.weight"), lambda value: value / 0.0),
    "weights that are sparse": lambda state: put(state, ("policy", "score.weight"), lambda value: value.to_sparse()),
    "weights that are no tensor": lambda state: put(state, ("policy", "score.weight"), lambda value: [0.0]),
    "moments missing": lambda state: put(state, ("optimiser", "state", 0), lambda of: {"step": of["step"]}),
    "moments of other shapes": lambda state: put(
        state, ("optimiser", "state", 0, "exp_avg"), lambda value: value.new_zeros(3, 7)
    ),
    "moments that are sparse": lambda state: put(
        state, ("optimiser", "state", 0, "exp_avg"), lambda value: value.to_sparse()
    ),
    "no moments": lambda state: {**state, "optimiser": 3},
    "a rate that is none": lambda state: put(state, ("optimiser", "param_groups", 0, "betas"), lambda value: "fast"),
    "a chapter beyond the last": lambda state: {**state, "chapter": 10**30},
    "a chapter that is none": lambda state: {**state, "chapter": None},
    "rows that are none": lambda state: {**state, "rows": -1},
    "more rows": lambda state: {**state, "rows": 2},
    "no digest": lambda state: {key: value for key, value in state.items() if key != "curve"},
}


def put(state: Any, keys: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A state with one value changed."""
    here = state
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = change(here[keys[-1]])
    return state


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_a_state_that_was_not_written_so_is_not_gone_on_with(
    change: Callable[[Any], Any], interrupted: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(interrupted, tmp_path / "damaged")
    torch.save(change(torch.load(folder / "state.pt", weights_only=True)), folder / "state.pt")
    refused(resumed(folder), "state.pt")


FILES: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "state gone": ("state.pt", lambda content: None),
    "state empty": ("state.pt", lambda content: b""),
    "state cut": ("state.pt", lambda content: content[:-100]),
    "a bit of the state": ("state.pt", lambda content: content.replace(b"\x00\x00\x80", b"\x00\x00\x81", 1)),
    "curve gone": ("curve.csv", lambda content: None),
    "configuration that is empty": ("train.json", lambda content: b"{}"),
    "configuration of another format": ("train.json", lambda content: content.replace(b"training-1", b"training-2")),
    "configuration without versions": ("train.json", lambda content: content.replace(b'"versions"', b'"others"')),
}


@pytest.mark.parametrize(("name", "change"), FILES.values(), ids=FILES)
def test_a_damaged_folder_is_one_line_that_names_the_file(
    name: str, change: Callable[[bytes], bytes | None], interrupted: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(interrupted, tmp_path / "damaged")
    content = change((folder / name).read_bytes())
    assert content != (folder / name).read_bytes()
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    refused(resumed(folder), name)


def test_versions_are_not_mixed(interrupted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(interrupted, tmp_path / "other")
    kept = json.loads((folder / "train.json").read_text())
    kept["versions"]["numpy"] = "0.9"
    (folder / "train.json").write_text(json.dumps(kept))
    refused(resumed(folder), "train.json", "numpy", "0.9", np.__version__)


def test_a_completed_folder_without_its_state_is_one_line(interrupted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(interrupted, tmp_path / "whole")
    assert resumed(folder).status == 0
    assert resumed(folder).status == 0, "there is nothing left to do"
    (folder / "state.pt").unlink()
    refused(resumed(folder), "state.pt")


def test_a_kill_between_the_curve_and_the_state_loses_nothing(interrupted: Path, tmp_path: Path) -> None:
    """The curve is a row ahead then; killed in the first chapter there is no state at all."""
    whole, ahead, first = (tmp_path / name for name in ("whole", "ahead", "first"))
    for folder in (whole, ahead, first):
        shutil.copytree(interrupted, folder)
    assert resumed(whole).status == 0
    shutil.copy(whole / "curve.csv", ahead / "curve.csv")
    (first / "state.pt").unlink()
    (first / "curve.csv").write_text(lines_of((first / "curve.csv").read_text(), 0, 1))
    for folder in (ahead, first):
        assert resumed(folder).status == 0
        assert curve(folder) == curve(whole)
        for key, value in weights(whole).items():
            assert torch.equal(weights(folder)[key], value), key


@pytest.mark.parametrize("algo", ["a2c", "sac"])
def test_a_state_of_sb3_of_other_shapes_is_refused(algo: str, tmp_path: Path) -> None:
    sb3_training = pytest.importorskip("idn_agents.learning.sb3_training")
    options = sb3_training.SB3(algo, steps=64, envs=4, slots=8, hidden=8)
    trainer = sb3_training.SB3Trainer(load_scenario("tiny"), options, 1)
    list(trainer.chapters())
    name = "policy.optimizer" if algo == "a2c" else "critic.optimizer"
    moments = trainer.state()["parameters"][name]["state"]
    shapes = {(i, key): getattr(value, "shape", ()) for i, of in moments.items() for key, value in of.items()}
    i, key = next(where for where, shape in shapes.items() if len(shape) == 2)
    for damage in ({key: torch.zeros(3, 7)}, {key: moments[i][key].to_sparse()}, {key: None}):
        other = sb3_training.SB3Trainer(load_scenario("tiny"), options, 2)
        state = copy.deepcopy(trainer.state())
        state["parameters"][name]["state"][i].update(damage)
        with pytest.raises((RuntimeError, TypeError, AttributeError)):
            other.restore(state)
        other.restore(trainer.state())
        assert torch.equal(other.policy.actor[0].weight, trainer.policy.actor[0].weight)


@pytest.mark.parametrize("what", ["row", "weights"])
def test_training_that_diverges_keeps_nothing_that_no_agent_could_play(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Trainer.play

    def diverging(self: Trainer) -> dict[str, float]:
        row = play(self)
        if self.chapter == 1 and what == "weights":
            next(iter(self.policy.parameters())).data.fill_(torch.inf)
        return row | ({"entropy": math.nan} if self.chapter == 1 and what == "row" else {})

    monkeypatch.setattr(Trainer, "play", diverging)
    folder = tmp_path / "diverged"
    done = in_process("train", "tiny", *SHORT, "--hidden", 4, "--output", folder)
    refused(done, "diverged by step 160", "entropy" if what == "row" else "embed.weight")
    assert len(curve(folder)) == 1
    assert not (folder / "policy.json").exists()


def refused(outcome: Outcome, *texts: str) -> None:
    """Status 2, nothing on stdout, and a last line on stderr that says this; progress may stand before it."""
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "Traceback" not in outcome.stderr
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith("idn-gym: ")
    assert len(last) <= 300 + len("/tmp") * 20
    for text in texts:
        assert text in last
