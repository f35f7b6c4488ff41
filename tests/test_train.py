"""``idn-gym train``: what it writes, what it refuses, and that what it trained can be run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import idn_gym, in_process

torch = pytest.importorskip("torch")

from idn_agents.learning.checkpoint import load_policy  # noqa: E402
from idn_agents.learning.folder import TrainingFolder, read_curve  # noqa: E402
from idn_agents.learning.policy import FlatView  # noqa: E402
from idn_agents.learning.ppo import PPO, Trainer, make_policy  # noqa: E402

from idn_gym.model.network import Network  # noqa: E402
from idn_gym.scenario.file import load_scenario  # noqa: E402

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
