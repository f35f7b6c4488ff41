"""The arrays of observations: their receiver's own, whatever becomes of them, and never new without need."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

import idn_gym  # noqa: F401 - registers the ids
from idn_gym import IdnError

ROWS = 3
OUTAGES = {"workload.capacity": {"kind": "outages", "probability": 0.3, "duration": 2.0, "remaining": 0.5}}


def make(**kwargs: Any) -> Any:
    return gym.make_vec("IDN/Tiny-v0", num_envs=ROWS, **kwargs)


def actions(env: Any, steps: int) -> np.ndarray:
    return (np.random.default_rng(0).random((steps, *env.action_space.shape)) < 0.2).astype(np.int8)


def place(array: np.ndarray) -> int:
    """Where an array lies in memory."""
    return int(array.__array_interface__["data"][0])


def spoil(observation: dict[str, np.ndarray]) -> None:
    for array in observation.values():
        array[:] = -7.0


def values(held: Any) -> Any:
    """What an array, a tensor or a piece of memory holds."""
    return held.numpy() if hasattr(held, "numpy") else held


@pytest.mark.parametrize("held", ["observation", "array", "view", "row", "tensor", "memory"])
def test_what_somebody_holds_is_never_written_to(held: str) -> None:
    """For longer than there are sets of arrays to choose from, and in whatever form it is held."""
    torch = pytest.importorskip("torch") if held == "tensor" else None
    env = make()
    seen = [env.reset(seed=0)[0]]
    kept, before = [], []
    for step in actions(env, 12):
        observation = seen.pop() if seen else env.step(step)[0]
        requests = observation["requests"]
        what = {
            "observation": observation,
            "array": requests,
            "view": requests.reshape(-1)[1:],
            "row": requests[1],
            "tensor": torch.from_numpy(requests) if torch else None,
            "memory": memoryview(requests),
        }[held]
        kept.append(what)
        before.append(pickle.loads(pickle.dumps(observation)) if held == "observation" else np.array(values(what)))
        del observation, requests, what
    for what, was in zip(kept, before, strict=True):
        assert data_equivalence(what, was, exact=True) if held == "observation" else np.array_equal(values(what), was)


def test_what_nobody_holds_is_used_again() -> None:
    env = make()
    env.reset(seed=0)
    places = {place(env.step(step)[0]["allocation"]) for step in actions(env, 10)}
    assert len(places) == 1
    observation, places = None, set()
    for step in actions(env, 10):  # as every loop does: the last one is held while the next is made
        observation = env.step(step)[0]
        places.add(place(observation["allocation"]))
    assert len(places) == 2


@pytest.mark.parametrize("overrides", [{}, OUTAGES])
def test_what_a_receiver_writes_is_not_seen_again(overrides: dict[str, Any]) -> None:
    """Not even where a value never changes, as budgets and nominal capacities do not."""
    ours, theirs = (make(overrides=overrides) for _ in range(2))
    first, second = [ours.reset(seed=0)[0]], theirs.reset(seed=0)[0]
    places = set()
    for step in actions(ours, 8):
        assert data_equivalence(first[0], second, exact=True)
        places.add(place(first[0]["budgets"]))
        spoil(first.pop())
        first.append(ours.step(step)[0])
        second = theirs.step(step)[0]
    assert len(places) == 1


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("overrides", [{}, OUTAGES])
def test_without_copies_every_observation_is_in_the_same_arrays(
    device: str | None, mode: AutoresetMode, overrides: dict[str, Any]
) -> None:
    """With the same values; what ends an episode is kept apart from what begins the next."""
    arguments = {"overrides": overrides, "horizon": 3, "autoreset_mode": mode}
    convert: Any = np.asarray
    if device:
        torch = pytest.importorskip("torch")
        arguments |= {"device": device}
        convert = torch.from_numpy
    ours, theirs = make(copy=False, **arguments), make(**arguments)
    first, second = ours.reset(seed=5)[0], theirs.reset(seed=5)[0]
    where = place(np.asarray(first["requests"]))
    for step in actions(ours, 3 if mode == AutoresetMode.DISABLED else 7):
        assert all(np.array_equal(first[key], second[key]) for key in second)
        found, expected = ours.step(convert(step)), theirs.step(convert(step))
        first, second = found[0], expected[0]
        assert place(np.asarray(first["requests"])) == where
        assert np.array_equal(found[1], expected[1])
        if "final_obs" in expected[4]:
            ours_last, theirs_last = found[4]["final_obs"], expected[4]["final_obs"]
            for last, wanted in [(ours_last, theirs_last)] if device else zip(ours_last, theirs_last, strict=True):
                assert all(np.array_equal(last[key], wanted[key]) for key in wanted)
                assert place(np.asarray(last["requests"])) != where


def test_copy_is_a_truth_value_and_travels_with_the_environment() -> None:
    with pytest.raises(IdnError, match="copy: 'no'; must be True or False"):
        make(copy="no")
    env = make(copy=False)
    env.reset(seed=1)
    again = pickle.loads(pickle.dumps(env))
    step = actions(env, 1)[0]
    assert data_equivalence(env.step(step), again.step(step), exact=True)
    assert place(again.step(step)[0]["budgets"]) == place(again.step(step)[0]["budgets"])
