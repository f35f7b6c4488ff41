"""The vector environment: bitwise the scalar one, in all autoreset modes; tensors; streams drawn on the device."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import idn_gym  # noqa: F401 - registers the ids
from idn_gym import IdnError, Network, draw, kernels, load_scenario
from idn_gym.env.repair import grant, serve_granted
from idn_gym.env.vector_env import IDNVectorEnv
from idn_gym.scenario.file import to_yaml

IDS = sorted(spec.id for spec in gym.registry.values() if spec.namespace == "IDN")
MODES = list(AutoresetMode)
TINY = "IDN/Tiny-v0"
ROWS = 3


def make(env_id: str, rows: int = ROWS, **kwargs: Any) -> Any:
    if env_id == "IDN/Scenario-v0":
        kwargs.setdefault("scenario", "tiny")
    return gym.make_vec(env_id, num_envs=rows, **kwargs)


def scalar(env_id: str, rows: int = ROWS, mode: AutoresetMode = AutoresetMode.NEXT_STEP, **kwargs: Any) -> Any:
    if env_id == "IDN/Scenario-v0":
        kwargs.setdefault("scenario", "tiny")
    return SyncVectorEnv([lambda: gym.make(env_id, **kwargs).unwrapped] * rows, autoreset_mode=mode)


def actions(env: Any, steps: int, seed: int = 0) -> np.ndarray:
    """(steps, B, P) random actions, from a few placements to nearly all, which is over every budget."""
    generator = np.random.default_rng(seed)
    shape = (steps, *env.action_space.shape)
    return (generator.random(shape) < generator.choice([0.01, 0.3, 0.9], size=(*shape[:2], 1))).astype(np.int8)


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_is_the_scalar_environment(env_id: str) -> None:
    horizon = {} if env_id == "IDN/GreedyTrap-v0" else {"horizon": 66}  # more than one block of draws
    ours, theirs = make(env_id, **horizon), scalar(env_id, **horizon)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.single_action_space == theirs.single_action_space
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert data_equivalence(ours.reset(seed=3), theirs.reset(seed=3), exact=True)
    for step in actions(ours, 68 if horizon else 5):
        found = ours.step(step)
        assert ours.observation_space.contains(found[0])
        assert data_equivalence(found, theirs.step(step), exact=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"reward": "gain_per_request", "update_weight": 0.5}, {"overrides": {"workload.rate": 0.01}}],
    ids=["gain", "per-request", "few-requests"],
)
def test_autoreset_is_gymnasium_s(mode: AutoresetMode, kwargs: dict[str, Any]) -> None:
    """Three episodes and partial resets in between, so that the environments are at different slots."""
    ours = make(TINY, horizon=4, autoreset_mode=mode.value, **kwargs)
    theirs = scalar(TINY, horizon=4, mode=mode, **kwargs)
    assert ours.metadata["autoreset_mode"] is ours.autoreset_mode is theirs.autoreset_mode is mode
    assert data_equivalence(ours.reset(seed=[9, 1, 5]), theirs.reset(seed=[9, 1, 5]), exact=True)
    over = np.zeros(ROWS, dtype=np.bool_)
    for t, step in enumerate(actions(ours, 15)):
        mask = over if mode == AutoresetMode.DISABLED and over.any() else np.array([t == 2, False, t in (2, 7)])
        if mask.any():
            found = ours.reset(seed=t, options={"reset_mask": mask})
            assert data_equivalence(found, theirs.reset(seed=t, options={"reset_mask": mask.copy()}), exact=True)
        found, expected = ours.step(step), theirs.step(step)
        assert data_equivalence(found, expected, exact=True)
        over = found[3]


WAVES = """
import numpy as np

class Waves:
    def draw(self, network, slots, generator):
        return generator.random((slots, network.R)) * 30.0 + np.arange(network.R)
"""
DRAWN: dict[str, dict[str, Any]] = {
    "sliding": {"workload.profile": "sliding", "workload.shift": 1, "workload.every": 7},
    "diurnal": {"workload.rate": 300.0, "workload.diurnal": {"amplitude": 0.9, "period": 20.0}},
    "burst": {"workload": {"kind": "burst", "rate": 50.0, "shape": 0.5, "persistence": 0.6, "per": "task"}},
    "crowds": {"workload.flash": {"probability": 0.1, "duration": 4.0, "factor": 9.0}},
    "outages": {"workload.capacity": {"kind": "outages", "probability": 0.2, "duration": 3.0, "remaining": 0.5}},
    "own": {"workload": {"kind": "waves.py:Waves"}},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", DRAWN)
def test_blocks_of_draws_may_begin_at_different_slots(
    name: str, mode: AutoresetMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two episodes longer than a block, partial resets within and at the end of one: whatever draws, it is the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "waves.py").write_text(WAVES)
    arguments = {"horizon": 70, "overrides": DRAWN[name], "update_weight": 0.01}
    ours = make(TINY, autoreset_mode=mode, **arguments)
    theirs = scalar(TINY, mode=mode, **arguments)
    assert data_equivalence(ours.reset(seed=11), theirs.reset(seed=11), exact=True)
    over = np.zeros(ROWS, dtype=np.bool_)
    for t, step in enumerate(actions(ours, 100)):
        mask = np.array([t == 20, t == 64, False]) | (over if mode == AutoresetMode.DISABLED else False)
        if mask.any():
            again = {"seed": [5, None, t], "options": {"reset_mask": mask}}
            assert data_equivalence(ours.reset(**again), theirs.reset(**again), exact=True)
        found = ours.step(step)
        assert data_equivalence(found, theirs.step(step), exact=True)
        over = found[3]


@pytest.mark.parametrize("budgets", ["of all", "of each"])
def test_serving_what_is_granted_is_granting_and_then_serving(budgets: str) -> None:
    """Rows that ask for more than fits among rows that do not."""
    network = Network.compile(load_scenario("tiny"))
    generator = np.random.default_rng(0)
    asked, before = (generator.random((2, 12, network.P)) < 0.3).astype(np.int8)
    limits = network.budgets * generator.uniform(0.5, 1.5, (12 if budgets == "of each" else 1, 1))
    requests = draw(network, 12, 0).requests
    granted, served = serve_granted(network, asked, before, requests, network.capacities[None], limits)
    expected = grant(network, asked, before, limits)
    assert 0 < np.count_nonzero(expected.repaired) < 12
    assert all(map(np.array_equal, granted, expected))
    assert all(map(np.array_equal, served, kernels.serve(network, requests, network.capacities, granted.allocation)))


def test_disabled_refuses_to_step_what_is_over() -> None:
    env = make(TINY, horizon=1, autoreset_mode="Disabled")
    idle = actions(env, 1)[0] * 0
    with pytest.raises(gym.error.ResetNeeded):
        env.step(idle)
    env.reset(seed=0)
    env.step(idle)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(idle)


def test_a_batch_mixes_rates_budgets_and_capacities() -> None:
    variants = [
        {"workload.rate": 3.0},
        {"nodes.bs0.budget": 1.0},
        {},
        {"workload": {"kind": "burst", "rate": 20.0, "shape": 0.5, "exponent": 1.0, "profile": "fixed"}},
    ]
    env = make(TINY, 4, variants=variants, horizon=5)
    alone = [gym.make(TINY, overrides=variant, horizon=5).unwrapped for variant in variants]
    observation, _ = env.reset(seed=2)
    for i, one in enumerate(alone):
        expected, _ = one.reset(seed=2 + i)
        assert data_equivalence({key: value[i] for key, value in observation.items()}, expected, exact=True)
    for step in actions(env, 5):
        observation, rewards, _, truncated, infos = env.step(step)
        for i, one in enumerate(alone):
            expected, reward, _, over, info = one.step(step[i])
            assert data_equivalence({key: value[i] for key, value in observation.items()}, expected, exact=True)
            assert (rewards[i], truncated[i]) == (reward, over)
            assert all(np.array_equal(infos[key][i], info[key]) for key in info)
    assert env.observation_space.contains(observation)


def test_permuting_the_batch_permutes_the_results() -> None:
    order, seeds = np.array([2, 0, 3, 1]), [5, 6, 7, 8]
    first, second = (make("IDN/TopologyII-Bursty-v0", 4, horizon=3) for _ in range(2))
    first.reset(seed=seeds)
    second.reset(seed=[seeds[i] for i in order])
    for step in actions(first, 3):
        found, expected = second.step(step[order]), first.step(step)
        assert all(np.array_equal(found[0][key], expected[0][key][order]) for key in found[0])
        assert all(np.array_equal(found[i], expected[i][order]) for i in (1, 2, 3))
        assert all(np.array_equal(found[4][key], expected[4][key][order]) for key in found[4])


def test_observations_stay_what_they_were() -> None:
    env = make("IDN/TopologyII-Sliding-v0", overrides={"workload.capacity": {"kind": "outages", "probability": 0.3}})
    seen, kept = [], []
    for observation in (env.reset(seed=0)[0], *(env.step(step)[0] for step in actions(env, 4))):
        seen.append(observation)
        kept.append(pickle.loads(pickle.dumps(observation)))
    assert data_equivalence(seen, kept, exact=True)
    assert all(array.flags.writeable for array in seen[-1].values())


def test_gymnasium_wrappers_and_rendering() -> None:
    env = RecordEpisodeStatistics(make(TINY, horizon=3, render_mode="ansi"))
    env.reset(seed=0)
    total = np.zeros(ROWS)
    for step in actions(env, 3):
        _, rewards, _, _, infos = env.step(step)
        total += rewards
    assert infos["episode"]["r"] == pytest.approx(total)
    assert infos["episode"]["l"].tolist() == [3] * ROWS
    texts = env.render()
    assert len(texts) == ROWS
    assert all(isinstance(text, str) for text in texts)
    env.close()


def test_no_torch_without_a_device() -> None:
    code = (
        "import sys, gymnasium, idn_gym, numpy as np\n"
        "env = gymnasium.make_vec('IDN/Tiny-v0', num_envs=2); env.reset(seed=0)\n"
        "env.step(np.zeros(env.action_space.shape, np.int8)); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def played(env: Any, steps: np.ndarray, seed: int = 4) -> list[Any]:
    """What a reset and steps return."""
    return [env.reset(seed=seed), *(env.step(step) for step in steps)]


@pytest.mark.parametrize("most", [1, 3, 100, -1])
@pytest.mark.parametrize("mode", MODES)
def test_max_episode_steps_is_the_limit_of_gymnasium_s_wrapper(mode: AutoresetMode, most: int) -> None:
    arguments: dict[str, Any] = {"num_envs": ROWS, "max_episode_steps": most, "horizon": 5}
    ours = gym.make_vec(TINY, autoreset_mode=mode, **arguments)
    theirs = gym.make_vec(TINY, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **arguments)
    until = most if most in (1, 3) else 5
    steps = actions(ours, until if mode == AutoresetMode.DISABLED else 8)
    found = played(ours, steps)
    assert data_equivalence(found, played(theirs, steps), exact=True)
    assert [step[3].all() for step in found[1 : until + 1]] == [False] * (until - 1) + [True]


def test_max_episode_steps_of_a_registered_id_and_of_tensors() -> None:
    spec = gym.spec(TINY)
    gym.register("IDN/TinyShort-v0", spec.entry_point, max_episode_steps=2, vector_entry_point=spec.vector_entry_point)
    try:
        env = gym.make_vec("IDN/TinyShort-v0", num_envs=2, scenario="tiny")
    finally:
        gym.registry.pop("IDN/TinyShort-v0")
    assert [step[3].tolist() for step in played(env, actions(env, 2))[1:]] == [[False] * 2, [True] * 2]
    torch = pytest.importorskip("torch")
    for how in ({}, {"streams": "device"}):
        env = make(TINY, device="cpu", max_episode_steps=2, **how)
        steps = torch.zeros((2, *env.action_space.shape), dtype=torch.int8)
        assert [step[3].tolist() for step in played(env, steps)[1:]] == [[False] * ROWS, [True] * ROWS]


@pytest.mark.parametrize("form", ["name", "object", "path", "dict"])
@pytest.mark.parametrize("device", [None, "cpu"])
def test_spec_survives_json(form: str, device: str | None, tmp_path: Path) -> None:
    """Whatever the arguments were given as; every reading of it makes the same environment."""
    (tmp_path / "mine.yaml").write_text(to_yaml(load_scenario("tiny")))
    content = load_scenario("tiny").to_dict()
    forms = {"name": "tiny", "object": load_scenario("tiny"), "path": tmp_path / "mine.yaml", "dict": content}
    arguments: dict[str, Any] = {
        "scenario": forms[form],
        "variants": ({"workload.rate": np.float64(3.0)}, ["nodes.bs0.budget=1"]),
        "horizon": np.int64(9),
        "max_episode_steps": 4,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    if device:
        torch = pytest.importorskip("torch")
        arguments["device"] = torch.device(device)
    env = make("IDN/Scenario-v0", 2, **arguments)
    again = gym.make_vec(EnvSpec.from_json(env.spec.to_json()))
    assert type(again) is type(env)
    assert again.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    steps = actions(env, 6)
    expected = make(
        TINY,
        2,
        variants=[{"workload.rate": 3.0}, {"nodes.bs0.budget": 1.0}],
        horizon=4,
        autoreset_mode="SameStep",
        **({"device": "cpu"} if device else {}),
    )
    if device:
        steps = torch.from_numpy(steps)
    outcomes = [played(one, steps) for one in (env, again, expected)]
    for outcome in outcomes[1:]:
        for step, first in zip(outcome, outcomes[0], strict=True):
            assert all(np.array_equal(step[0][key], first[0][key]) for key in first[0])
            assert np.array_equal(step[1], first[1]) if len(step) > 2 else True
    assert json.loads(again.spec.to_json()) == json.loads(env.spec.to_json())


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_spec_of_gymnasium_s_vector_environments(mode: str) -> None:
    """They keep what they were given; a plain dict they can write."""
    content = load_scenario("tiny", {"horizon": 3}).to_dict()
    env = gym.make_vec("idn_gym:IDN/Scenario-v0", num_envs=2, vectorization_mode=mode, scenario=content)
    again = gym.make_vec(EnvSpec.from_json(env.spec.to_json()))
    steps = actions(env, 3)
    assert data_equivalence(played(env, steps), played(again, steps), exact=True)
    env.close()
    again.close()


@pytest.mark.parametrize(
    "overrides",
    [["workload.rate=10"], ("workload.rate=10",), "workload.rate=10", {"workload.rate": 10}],
    ids=["list", "tuple", "text", "mapping"],
)
def test_variants_come_on_top_of_overrides_of_every_form(overrides: Any) -> None:
    variants = [{}, {"nodes.bs0.budget": 1}, ["workload.rate=2", "nodes.bs1.budget=9"], ("workload.rate=0.5",)]
    env = make(TINY, 4, overrides=overrides, variants=variants, horizon=3)
    assert [network.scenario.workload.rate for network in env.networks] == [10.0, 10.0, 2.0, 0.5]
    alone = [
        gym.make(TINY, overrides={"workload.rate": 10.0} | changes, horizon=3)
        for changes in (
            {},
            {"nodes.bs0.budget": 1},
            {"workload.rate": 2, "nodes.bs1.budget": 9},
            {"workload.rate": 0.5},
        )
    ]
    for i, one in enumerate(alone):
        one.reset(seed=8 + i)
    env.reset(seed=8)
    for step in actions(env, 3):
        _, rewards, *_, infos = env.step(step)
        for i, one in enumerate(alone):
            _, reward, _, _, info = one.step(step[i])
            assert rewards[i] == reward
            assert all(np.array_equal(infos[key][i], info[key]) for key in info)


def test_a_variant_replaces_a_section_and_goes_on_from_it() -> None:
    burst = {"kind": "burst", "rate": 4.0, "shape": 1.0}
    env = make(
        TINY, 2, overrides={"workload": burst}, variants=[{"workload.rate": 7}, {"workload": burst | {"rate": 1.0}}]
    )
    assert [network.scenario.workload.rate for network in env.networks] == [7.0, 1.0]


def replayed(folder: Path) -> dict[str, Any]:
    (folder / "requests.csv").write_text("slot,task,source,requests\n0,cars,bs0,3\n1,cars,bs0,4\n")
    return {"workload": {"kind": "trace", "requests": str(folder / "requests.csv")}}


@pytest.mark.parametrize(
    ("variant", "named"),
    [
        ({"horizon": 3}, "horizon"),
        (["horizon=3"], "horizon"),
        ({"accuracy_weight": 3.0}, "(options|costs)"),
        ({"nodes.bs0.tier": 7}, "tiers"),
        ({"replicas": 2}, "sizes"),
        ({"models.people/small.accuracy": 1.0}, "(options|costs|inaccuracies)"),
        ({"workload": {"kind": "zipf", "rate": 3.0}}, "workload, which replays a trace"),
    ],
)
def test_what_a_variant_may_not_change_is_named(variant: Any, named: str, tmp_path: Path) -> None:
    overrides = replayed(tmp_path) if "replays" in named else None
    with pytest.raises(IdnError, match=rf"^variants\[1\]: changes {named}; may change rates, budgets and capacities"):
        make(TINY, 2, overrides=overrides, variants=[{}, variant])
    if named == "horizon":  # which is said for all of them at once
        make(TINY, 1, overrides=variant, variants=[variant])
    make(TINY, 1, overrides=overrides, variants=[{"nodes.bs0.budget": 1.0}])


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_what_only_the_native_one_takes_is_named_by_the_others(mode: str) -> None:
    for name, value in {"variants": [{}], "device": "cpu", "autoreset_mode": "SameStep"}.items():
        with pytest.raises(IdnError, match=f"^{name}: no argument of the environment; .* allowed: scenario, overrides"):
            gym.make_vec(f"idn_gym:{TINY}", num_envs=1, vectorization_mode=mode, **{name: value})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_envs": 0}, "num_envs: 0; must be"),
        ({"num_envs": True}, "num_envs: True; must be"),
        ({"num_envs": 2.0}, r"num_envs: 2.0; must be"),
        ({"num_envs": 10**12}, "num_envs: 1000000000000; must be a whole number >= 1, at most 1000000"),
        ({"num_envs": 10**400}, "num_envs: a whole number of about 401 digits"),
        ({"num_envs": 10**6, "scenario": "topology-1-fixed"}, "num_envs: 1000000; at most 14233 environments of this"),
        ({"autoreset_mode": ["SameStep"]}, r"autoreset_mode: \['SameStep'\]; allowed"),
        ({"autoreset_mode": None}, "autoreset_mode: None; allowed"),
        ({"max_episode_steps": 0}, "max_episode_steps: 0; must be at least 1, or -1 for none"),
        ({"max_episode_steps": -2}, "max_episode_steps: -2; must be"),
        ({"max_episode_steps": 2.5}, "max_episode_steps: 2.5; must be"),
        ({"variants": 3}, "variants: 3; must be a list of 3 sets of overrides"),
        ({"variants": "abc"}, "variants: 'abc'; must be a list of 3 sets of overrides"),
        ({"variants": {"workload.rate": 3}}, r"variants: \{'workload.rate': 3\}; must be a list of 3"),
        ({"variants": [{}, 3, {}]}, r"variants\[1\]: overrides: 3; must be \{'KEY': VALUE\}"),
        ({"variants": [{}, {}, {1: 2}]}, r"variants\[2\]: overrides: \{1: 2\}; must be"),
        ({"variants": [["workload.rate"], {}, {}]}, r"variants\[0\]: override 'workload.rate': must be KEY=VALUE"),
        ({"variants": [{"workload.rat": 3}, {}, {}]}, r"variants\[0\]: .*workload.rat: unknown key"),
        ({"overrides": {1: 2}, "variants": [{}] * 3}, r"overrides: \{1: 2\}; must be"),
        ({"update_weight": 1e300}, r"update_weight: 1e\+300; must be"),
        ({"scenario": 5}, "scenario: 5; must be"),
        ({"horizn": 5}, "horizn: no argument of the environment"),
        ({"streams": "device"}, "streams: no argument of the environment"),
        ({"autoreset_mode": "Sometimes"}, "autoreset_mode: 'Sometimes'; allowed: 'NextStep', 'SameStep', 'Disabled'"),
        ({"variants": [{}]}, "variants: 1 of them; must be 3"),
        ({"variants": [{}, {}, {"accuracy_weight": 3.0}]}, r"variants\[2\]: changes (options|costs)"),
        ({"horizon": 0}, "horizon: 0"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(IdnError, match=message):
        gym.make_vec(TINY, **{"num_envs": ROWS, **kwargs})


def test_bad_actions_and_resets() -> None:
    env = make(TINY, infeasible="raise")
    with pytest.raises(IdnError, match=r"seed: 2 of them; must be 3"):
        env.reset(seed=[1, 2])
    for seed, named in (
        (-1, "seed: -1"),
        (2**64, "seed: 18446744073709551616"),
        ("abc", "seed: 'abc'"),
        (1.5, "seed: 1.5"),
        ([1, -1, 2], r"seed\[1\]: -1"),
        ([None, 1, [2]], r"seed\[2\]: \[2\]"),
        (np.array(1.0), r"seed: array\(1.\)"),
        (np.array([0.0, 1.0, 2.0]), r"seed\[0\]: 0.0"),
    ):
        with pytest.raises(IdnError, match=rf"{named}; must be a whole number >= 0"):
            env.reset(seed=seed)
    with pytest.raises(IdnError, match="options: 3; must be a dict, or None"):
        env.reset(options=3)
    env.reset(seed=np.arange(3))
    for mask in ([[True], [True, False]], "abc", [1, 1, 1]):
        with pytest.raises(IdnError, match=r"reset_mask: .*; must be \(3,\) bool"):
            env.reset(options={"reset_mask": mask})
    with pytest.raises(IdnError, match=r"reset_mask: .*at least one True"):
        env.reset(options={"reset_mask": np.zeros(ROWS, dtype=np.bool_)})
    env.reset(seed=0)
    good = np.zeros(env.action_space.shape, dtype=np.int8)
    with pytest.raises(IdnError, match=r"actions: shape \(3, 17\); must be \(3, 18\)"):
        env.step(good[:, :-1])
    with pytest.raises(IdnError, match=r"actions: .*inhomogeneous"):
        env.step([[0], [0, 1], []])
    with pytest.raises(IdnError, match=r"actions\[1, 2\]: 2; must be 0 or 1"):
        env.step(good + 2 * (np.arange(3 * 18).reshape(3, 18) == 20).astype(np.int8))
    with pytest.raises(IdnError, match=r"actions\[0\]: node \w+ would hold .* MB; its budget is"):
        env.step(good + 1)


def test_sb3_trains_on_it() -> None:
    pytest.importorskip("stable_baselines3")
    from sb3_contrib import MaskablePPO
    from stable_baselines3.common.vec_env import VecMonitor

    from idn_gym.sb3 import SB3VecEnv

    env = SB3VecEnv(make(TINY, 4, horizon=8, autoreset_mode="SameStep"))
    env.seed(7)
    assert env.reset()["requests"].shape == (4, env.env.network.R)
    step = np.zeros((4, env.env.network.P), dtype=np.int8)
    for t in range(8):
        _, _, dones, infos = env.step(step)
        assert dones.tolist() == [t == 7] * 4
        assert [info["TimeLimit.truncated"] for info in infos] == [t == 7] * 4
        assert all(("terminal_observation" in info) == (t == 7) for info in infos)
    expected = draw(env.env.network, 8, 8).requests[7]  # of the second environment, seeded 7 + 1
    assert infos[1]["terminal_observation"]["requests"].tolist() == expected.tolist()
    model = MaskablePPO("MultiInputPolicy", VecMonitor(env), n_steps=8, batch_size=16, seed=0, device="cpu").learn(64)
    assert len(model.ep_info_buffer) == 8
    with pytest.raises(IdnError, match="SameStep"):
        SB3VecEnv(make(TINY))


# Tensors


def test_tensors_are_of_one_class() -> None:
    torch = pytest.importorskip("torch")
    from idn_gym.batched import TensorVectorEnv

    for device in ("cpu", torch.device("cpu")):
        for how in ({}, {"backend": "torch"}, {"streams": "device"}, {"streams": "numpy", "backend": "numba"}):
            for env in (
                make(TINY, 2, device=device, **how),
                TensorVectorEnv("tiny", num_envs=2, device=device, **how),
            ):
                assert isinstance(env, TensorVectorEnv)
                assert isinstance(env.unwrapped.device, torch.device)
                env.reset(seed=0)
                copy = pickle.loads(pickle.dumps(env)) if how.get("streams") != "device" else env
                found = copy.step(torch.zeros(env.action_space.shape, dtype=torch.int8))
                assert all(isinstance(value, torch.Tensor) for value in (*found[0].values(), *found[1:4]))
    assert not isinstance(make(TINY), TensorVectorEnv)


def test_all_but_the_scenario_goes_by_name() -> None:
    pytest.importorskip("torch")
    from idn_gym.batched import TensorVectorEnv

    for kind in (IDNVectorEnv, TensorVectorEnv):
        assert kind("tiny", num_envs=2).num_envs == 2
        with pytest.raises(TypeError, match="positional"):
            kind("tiny", 2)


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("env_id", [TINY, "IDN/TopologyII-Bursty-v0"])
def test_tensors_on_the_cpu_are_the_arrays(env_id: str, mode: AutoresetMode, backend: str | None) -> None:
    torch = pytest.importorskip("torch")
    arrays = make(env_id, horizon=3, autoreset_mode=mode)
    tensors = make(env_id, horizon=3, autoreset_mode=mode, device="cpu", backend=backend)
    exact = 0.0 if backend is None else 1e-9
    expected, _ = arrays.reset(seed=4)
    found, _ = tensors.reset(seed=4)
    assert all(np.array_equal(found[key].numpy(), expected[key]) for key in expected)
    for t, step in enumerate(actions(arrays, 7)):
        mask = np.array([t == 3, t in (3, 5), t == 3])
        if mask.any() and (mode == AutoresetMode.DISABLED or t == 5):
            mask = np.ones(ROWS, dtype=np.bool_) if mode == AutoresetMode.DISABLED else mask
            arrays.reset(options={"reset_mask": mask})
            tensors.reset(options={"reset_mask": torch.from_numpy(mask)})
        if mode == AutoresetMode.DISABLED and t >= 6:
            break
        wanted, got = arrays.step(step), tensors.step(torch.from_numpy(step))
        assert all(np.array_equal(got[0][key].numpy(), wanted[0][key]) for key in wanted[0])
        assert got[0]["requests"].dtype == torch.float32
        assert got[1].numpy() == pytest.approx(wanted[1], rel=exact, abs=exact)
        assert all(np.array_equal(got[i].numpy(), wanted[i]) for i in (2, 3))
        assert got[4].keys() == wanted[4].keys()
        for key in wanted[4].keys() - {"final_obs", "final_info"}:
            assert got[4][key].numpy() == pytest.approx(wanted[4][key], rel=exact, abs=exact)
        if "final_obs" in wanted[4]:
            for b in np.flatnonzero(wanted[3]):
                last = wanted[4]["final_obs"][b]
                assert all(np.array_equal(got[4]["final_obs"][key][b].numpy(), last[key]) for key in last)


STREAMS = {
    "zipf": {},
    "sliding": {"workload.profile": "sliding", "workload.shift": 1, "workload.every": 1},
    "burst": {"workload": {"kind": "burst", "rate": 5.0, "shape": 2.0, "exponent": 1.0, "profile": "fixed"}},
    "flash": {"workload.flash": {"probability": 0.2, "factor": 4.0, "duration": 3.0}},
    "outages": {"workload.capacity": {"kind": "outages", "probability": 0.2, "duration": 3.0, "remaining": 0.5}},
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_drawn_on_the_device_have_the_scalar_law(name: str) -> None:
    """First and second moments of every slot, against as many streams drawn by NumPy, within 6 standard errors."""
    torch = pytest.importorskip("torch")
    from idn_gym.batched.streams import DrawnStreams

    network = Network.compile(load_scenario("tiny", STREAMS[name]))
    rows, slots = 4000, 5
    streams = DrawnStreams([network] * rows, slots, torch.device("cpu"), torch.float64)
    streams.restart(slice(None), [np.random.default_rng(1)])
    drawn = [[part.expand(rows, -1).numpy().copy() for part in streams.next_slot(slice(None))] for _ in range(slots)]
    traces = [draw(network, slots, seed) for seed in range(rows)]
    for t in range(slots):
        ours, theirs = drawn[t][0], np.stack([trace.requests[t] for trace in traces])
        for a, b in ((ours, theirs), (ours**2, theirs**2), (ours * drawn[t - 1][0], None)):
            if b is None:  # how a slot goes with the one before
                before = np.stack([trace.requests[t - 1] for trace in traces])
                b = theirs * before
            error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / rows)
            assert (abs(a.mean(axis=0) - b.mean(axis=0)) <= 6 * error + 1e-12).all()
        ours, theirs = drawn[t][1], np.stack([trace.capacities_at(t) for trace in traces])
        error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / rows)
        assert (abs(ours.mean(axis=0) - theirs.mean(axis=0)) <= 6 * error + 1e-9 * theirs.mean(axis=0)).all()


def test_streams_drawn_on_the_device_repeat_with_their_seed() -> None:
    torch = pytest.importorskip("torch")
    env = make(TINY, device="cpu", streams="device", horizon=3)
    idle = torch.zeros(env.action_space.shape, dtype=torch.int8)

    def requests(seed: int) -> list[Any]:
        env.reset(seed=seed)
        return [env.step(idle)[0]["requests"].tolist() for _ in range(5)]

    first = requests(0)
    assert requests(0) == first != requests(1)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"device": "nowhere"}, "device: 'nowhere'"),
        ({"device": ["cpu"]}, r"device: \['cpu'\]; must be the name of a PyTorch device"),
        ({"device": "cpu", "backend": "cuda"}, "backend: 'cuda'; allowed"),
        ({"device": "cpu", "backend": np.array([1, 2])}, r"backend: array\(\[1, 2\]\); allowed"),
        ({"device": "cpu", "streams": np.array([1, 2])}, r"streams: array\(\[1, 2\]\); allowed"),
        ({"device": 10**400}, "device: a whole number of about 401 digits; must be the name"),
        ({"device": "cpu", "num_envs": 10**12}, "num_envs: 1000000000000; must be"),
        ({"device": "cpu", "update_weight": 1e300}, r"update_weight: 1e\+300"),
        ({"device": "cpu", "variants": [{"horizon": 3}] * 3}, r"variants\[0\]: changes horizon"),
        ({"device": "cpu", "streams": "both"}, "streams: 'both'; allowed"),
        ({"device": "cpu", "streams": "device", "horizon": 10**9}, "horizon: 1000000000; too long"),
    ],
)
def test_bad_arguments_of_tensors(kwargs: dict[str, Any], message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(IdnError, match=message):
        gym.make_vec(TINY, **{"num_envs": ROWS, **kwargs})


def test_bad_actions_of_tensors() -> None:
    torch = pytest.importorskip("torch")
    env = make(TINY, device="cpu", infeasible="raise")
    env.reset(seed=0)
    good = torch.zeros(env.action_space.shape, dtype=torch.int8)
    with pytest.raises(IdnError, match=r"actions: ndarray; must be a torch.Tensor"):
        env.step(good.numpy())
    with pytest.raises(IdnError, match=r"actions: shape \(3, 17\)"):
        env.step(good[:, :-1])
    with pytest.raises(IdnError, match=r"actions\[0, 0\]: 2; must be 0 or 1"):
        env.step(good + 2)
    with pytest.raises(IdnError, match="actions: on meta; must be on cpu"):
        env.step(good.to("meta"))
    with pytest.raises(IdnError, match=r"actions\[0\]: node \w+ would hold"):
        env.step(good + 1)


def test_variants_change_a_scenario_object_as_they_change_its_name() -> None:
    variants = [{"workload.rate": 1.0}, {"workload.rate": 500.0}]
    by_name, by_object = (
        gym.make_vec("IDN/Scenario-v0", num_envs=2, scenario=scenario, variants=variants)
        for scenario in ("tiny", load_scenario("tiny"))
    )
    for env in (by_name, by_object):
        env.reset(seed=3)
    actions = np.zeros(by_name.action_space.shape, dtype=np.int8)
    first, second = (env.step(actions)[0]["requests"] for env in (by_name, by_object))
    np.testing.assert_array_equal(first, second)
    assert first[0].sum() < first[1].sum()
