"""Information: one form after a reset and after every step, in every environment and every view of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import idn_gym  # noqa: F401 - registers the ids
from idn_gym.wrappers import OnePlacementAtATime, ScoreAction

IDS = sorted(spec.id for spec in gym.registry.values() if spec.namespace == "IDN")
TINY = "IDN/Tiny-v0"
KEYS = [
    "slot",
    "gain",
    "cost",
    "latency_ms",
    "inaccuracy",
    "missed",
    "model_update_mb",
    "price_per_slot",
    "request_count",
    "repaired",
    "tier_shares",
]
WHOLE = {"slot", "repaired", "refused"}
HORIZON = 3


def arguments(env_id: str) -> dict[str, Any]:
    return {"horizon": HORIZON, **({"scenario": "tiny"} if env_id == "IDN/Scenario-v0" else {})}


def form(info: dict[str, Any]) -> dict[str, tuple[str, str, tuple[int, ...]]]:
    """Of every value its kind, dtype and shape."""
    return {key: (type(value).__name__, str(value.dtype), tuple(value.shape)) for key, value in info.items()}


def two_episodes(env: gym.Env) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Observation and information of every reset and step; the last action is what `OnePlacementAtATime` commits by."""
    env.action_space.seed(0)
    for _ in range(2):
        yield env.reset(seed=0)
        over = False
        while not over:
            observation, _, _, over, info = env.step(env.action_space.sample())
            yield observation, info


VIEWS = {
    "plain": lambda env: env,
    "scores": ScoreAction,
    "one at a time": lambda env: OnePlacementAtATime(env, max_toggles=4),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("env_id", IDS)
def test_scalar(env_id: str, view: str) -> None:
    env = VIEWS[view](gym.make(env_id, **arguments(env_id)))
    seen = list(two_episodes(env))
    forms = [form(info) for _, info in seen]
    assert all(one == forms[0] and list(one) == list(forms[0]) for one in forms)
    assert list(forms[0])[: len(KEYS)] == KEYS
    assert set(forms[0]) == set(KEYS) | ({"action_mask", "refused"} if view == "one at a time" else set())
    for key, (kind, dtype, shape) in forms[0].items():
        if key in ("tier_shares", "action_mask"):
            assert kind == "ndarray"
            assert len(shape) == 1
        else:
            assert kind == dtype == ("int64" if key in WHOLE else "float64")
    for observation, info in seen:
        assert not observation.keys() & info.keys()
        if info["slot"] < 0:  # nothing served: after a reset, and after a toggle
            assert not any(np.any(info[key]) for key in set(KEYS) - {"slot"})
    assert sum(info["slot"] >= 0 for _, info in seen) == 2 * HORIZON
    # what trainers and recorders do with it: one array per key over a whole episode
    assert all(np.stack([info[key] for _, info in seen]).dtype != object for key in KEYS)


def test_what_is_kept_of_a_reset_is_not_written_to() -> None:
    env = gym.make(TINY)
    _, first = env.reset(seed=0)
    first["tier_shares"][:] = 7.0
    assert not env.reset(seed=0)[1]["tier_shares"].any()


def vectors(env_id: str, mode: AutoresetMode) -> Iterator[tuple[str, Any]]:
    """Every vector environment there is."""
    how: dict[str, Any] = {"num_envs": 2, **arguments(env_id)}
    yield "numpy", gym.make_vec(env_id, autoreset_mode=mode, **how)
    yield "sync", gym.make_vec(env_id, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **how)
    if env_id in (TINY, "IDN/TopologyII-Bursty-v0"):
        pytest.importorskip("torch")
        yield "tensors", gym.make_vec(env_id, autoreset_mode=mode, device="cpu", **how)
        for others in ({"backend": "torch"}, {"streams": "device"}, {"check": False}):
            yield str(others), gym.make_vec(env_id, autoreset_mode=mode, device="cpu", **others, **how)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("env_id", [TINY, "IDN/TopologyII-Bursty-v0", "IDN/Adversary-v0", "IDN/Geant-Sliding-v0"])
def test_vector(env_id: str, mode: AutoresetMode) -> None:
    for name, env in vectors(env_id, mode):
        action = np.ones(env.action_space.shape, dtype=np.int8)
        if "torch" in type(env.reset(seed=0)[0]["requests"]).__module__:
            action = pytest.importorskip("torch").from_numpy(action)
        observation, infos = env.reset(seed=0)
        first = form(infos)
        assert list(first) == [name for key in KEYS for name in (key, f"_{key}")], name
        assert not observation.keys() & infos.keys()
        assert infos["slot"].tolist() == [-1, -1]
        for key in KEYS:
            assert first[key][1].removeprefix("torch.") == ("int64" if key in WHOLE else "float64")
            assert first[key][2][0] == 2
            assert infos[f"_{key}"].tolist() == [True, True]
            assert key == "slot" or not np.any(np.asarray(infos[key]))
        slots = []
        for _ in range(HORIZON if mode == AutoresetMode.DISABLED else 2 * HORIZON + 1):
            _, _, _, over, infos = env.step(action)
            slots.append(infos["slot"][0].item())
            final = infos.pop("final_info", None)
            assert (final is not None) == (mode == AutoresetMode.SAME_STEP and bool(over.all()))
            infos = {key: value for key, value in infos.items() if not key.lstrip("_").startswith("final_")}
            assert form(infos) == first, name
            if final is not None:
                assert form(final) == first, name
                assert final["slot"].tolist() == [HORIZON - 1] * 2
        rest = {
            AutoresetMode.NEXT_STEP: [-1, 0, 1, 2],
            AutoresetMode.SAME_STEP: [0, 1, -1, 0],
            AutoresetMode.DISABLED: [],
        }[mode]
        assert slots == [0, 1, -1 if mode == AutoresetMode.SAME_STEP else 2, *rest], name


@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_partial_reset_informs_of_what_it_resets(device: str | None) -> None:
    env = gym.make_vec(TINY, num_envs=3, autoreset_mode="Disabled", **({"device": device} if device else {}))
    mask, action = np.array([False, True, False]), np.ones((3, 18), dtype=np.int8)
    if device:
        torch = pytest.importorskip("torch")
        mask, action = torch.from_numpy(mask), torch.from_numpy(action)
    _, whole = env.reset(seed=0)
    env.step(action)
    _, infos = env.reset(options={"reset_mask": mask})
    assert form(infos) == form(whole)
    assert infos["_slot"].tolist() == infos["_gain"].tolist() == [False, True, False]
    assert infos["slot"].tolist() == [0, -1, 0]
    assert env.step(action)[4]["slot"].tolist() == [1, 0, 1]


def test_stable_baselines_has_it_as_its_own_vector_environment() -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv

    from idn_gym.sb3 import SB3VecEnv

    ours = SB3VecEnv(gym.make_vec(TINY, num_envs=2, horizon=HORIZON, autoreset_mode="SameStep"))
    theirs = DummyVecEnv([lambda: gym.make(TINY, horizon=HORIZON)] * 2)
    for env in (ours, theirs):
        env.seed(3)
        env.reset()
    last = [{key: value for key, value in info.items() if key in KEYS} for info in ours.reset_infos]
    assert [info.keys() - set(KEYS) for info in ours.reset_infos] == [{"TimeLimit.truncated"}] * 2
    for found, expected in zip(last, theirs.reset_infos, strict=True):
        assert form(found) == form(expected)
        assert found["slot"] == -1
    action = np.ones((2, 18), dtype=np.int8)
    for _ in range(2 * HORIZON):
        over, infos = ours.step(action)[2:]
        of_theirs = theirs.step(action)[3]
        for one, other, done in zip(infos, of_theirs, over, strict=True):
            assert one.keys() == other.keys()
            assert one.keys() - {"terminal_observation"} == {*KEYS, "TimeLimit.truncated"}
            assert ("terminal_observation" in one) == done
            assert all(np.array_equal(one[key], other[key]) for key in KEYS)


def test_toggles_and_commits_side_by_side_have_one_form() -> None:
    env = SyncVectorEnv([lambda: OnePlacementAtATime(gym.make(TINY, horizon=HORIZON))] * 2)
    first = form(env.reset(seed=0)[1])
    for action in ([0, 18], [18, 18], [5, 5], [18, 3]):
        assert form(env.step(np.array(action))[4]) == first
