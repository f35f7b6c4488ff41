"""The checks for agents: the shipped agents pass, and whatever breaks a rule fails by that rule, in words."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy as np
import pytest
from idn_agents.baselines import RepositoryOnly
from test_house import PROJECT

from idn_gym import IdnError, Network, draw, pack
from idn_gym.testing import BrokenRule, agent_checks, check_agent

SLOW = {
    "optimum": "optimum:time_limit=5",
    "dynamic-optimum": "dynamic-optimum",
    "law-aware": "law-aware:samples=50",
    "ppo": "ppo",
}
SEEN: list[Any] = []


class Always:
    """Keeps every rule."""

    def __init__(self, size: float = 1.0) -> None:
        self.size = size

    def reset(self, network: Network, seed: int) -> None:
        self.network, self.generator = network, np.random.default_rng(seed)

    def act(self, observation: dict[str, Any]) -> Any:
        return pack(self.network, self.generator.random(self.network.P))

    def info(self) -> Any:
        return {"size": self.size}


class NoInfo:
    def reset(self, network: Network, seed: int) -> None: ...
    def act(self, observation: dict[str, Any]) -> Any: ...


class Unfit(Always):
    hindsight = True


class Unseen(Always):
    def fit(self, trace: Any) -> None: ...


class Swallows(Always):
    def __init__(self, **options: Any) -> None: ...


class Crashes(Always):
    def __init__(self, **options: Any) -> None:
        if options:
            raise KeyError("why not")


class Shouts(Always):
    def accepts(self, network: Network) -> None:
        raise RuntimeError("no")


class Refuses(Always):
    def accepts(self, network: Network) -> None:
        raise IdnError("never")


class Halves(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        return np.full(self.network.P, 0.5)


class Nothing(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        return None


class Ragged(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        return [[1], [1, 1]]


class Matrix(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        return super().act(observation)[None]


class Everything(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        return np.ones(self.network.P)


class Overflows(Always):
    """A fractional state beyond the budgets."""

    def act(self, observation: dict[str, Any]) -> Any:
        self.fractional = np.ones(self.network.P)
        return super().act(observation)


class Global(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        return pack(self.network, np.random.random(self.network.P))  # noqa: NPY002


class SeedsTheGlobal(Global):
    def reset(self, network: Network, seed: int) -> None:
        super().reset(network, seed)
        random.seed(seed)

    def act(self, observation: dict[str, Any]) -> Any:
        return pack(self.network, np.array([random.random() for _ in range(self.network.P)]))


class OnTheClass(Always):
    slot = 0

    def act(self, observation: dict[str, Any]) -> Any:
        OnTheClass.slot += 1
        return pack(self.network, np.sin(OnTheClass.slot * np.arange(1, self.network.P + 1)))


class Writes(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        observation["requests"] += 1.0
        return super().act(observation)


class WritesTheTrace(Always):
    hindsight = True

    def fit(self, trace: Any) -> None:
        trace.requests[0] = 0.0


class WritesTheNetwork(Always):
    def reset(self, network: Network, seed: int) -> None:
        super().reset(network, seed)
        network.sizes[0] = 0.0


class Foresees(Always):
    """Draws the stream that it will face."""

    def reset(self, network: Network, seed: int) -> None:
        super().reset(network, seed)
        self.stream, self.slot = draw(network, 8, seed), -1

    def act(self, observation: dict[str, Any]) -> Any:
        self.slot += 1
        return pack(self.network, np.sin(self.stream.requests[self.slot :].sum() * np.arange(1, self.network.P + 1)))


class Remembers(Always):
    def __init__(self) -> None:
        self.seen = 0.0

    def act(self, observation: dict[str, Any]) -> Any:
        self.seen += 1.0
        return pack(self.network, np.sin(self.seen * np.arange(1, self.network.P + 1)))


class Holds(Always):
    def reset(self, network: Network, seed: int) -> None:
        super().reset(network, seed)
        self.order = lambda: 1


class Forgets(Always):
    """Loses on its way through pickle where it stands."""

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"generator": np.random.default_rng(0)}


class Speaks(Always):
    def info(self) -> Any:
        return {"sizes": self.network.sizes}


class SaysNan(Always):
    def info(self) -> Any:
        return {"size": float("nan")}


class Lists(Always):
    def info(self) -> Any:
        return [1]


SYSTEMS = {  # agents of systems, on networks of their shape
    "infadapter": ["variants-cores"],
    "ipa": ["pipeline-cores"],
    "sponge": ["uploads-4g"],
    "pa-mdi": ["partition-priority"],
    "sled": ["draft-and-verify"],
    "qpart": ["quantised-split"],
}


class Divides(Always):
    def act(self, observation: dict[str, Any]) -> Any:
        assert observation["requests"].sum() > 0 or not observation["allocation"].any()
        return super().act(observation)


@pytest.mark.parametrize("name", PROJECT["entry-points"]["idn_gym.agents"])
def test_shipped_agents(name: str) -> None:
    own = SYSTEMS.get(name, ["tiny"] if name in SLOW else None)
    check_agent(SLOW.get(name, name), networks=own)


@pytest.mark.parametrize("check", agent_checks)
def test_one_by_one(check: Any) -> None:
    """Of a class, a function and the text of the command line."""
    check(Always)
    check(partial(Always, size=2.0), networks=["tiny"])
    check(RepositoryOnly)


@pytest.mark.parametrize(
    ("agent", "rule", "words"),
    [
        (NoInfo, "complete", "it has no method info. To mend it: write one; needed: reset, act, info"),
        (Unfit, "complete", "hindsight is True, and there is no method fit"),
        (Unseen, "complete", "hindsight is False, and there is a method fit"),
        (Swallows, "refusing unknown keywords", "no_such_keyword=1 was taken. To mend it: name every parameter"),
        (Crashes, "refusing unknown keywords", "no_such_keyword=1 raised KeyError: 'why not' ("),
        (Shouts, "accepting or refusing", "accepts, on tiny, raised RuntimeError: no ("),
        (Halves, "feasible", "on tiny, slot 0: the allocation holds 0.5. To mend it: place whole models"),
        (Nothing, "feasible", "on tiny, slot 0: act returned NoneType. To mend it: return an array of shape (18,)"),
        (Ragged, "feasible", "act returned list"),
        (Matrix, "feasible", "act returned ndarray of shape (1, 18)"),
        (Everything, "feasible", "the allocation puts 4 MB on node cloud, whose budget is 0 MB"),
        (Overflows, "feasible", "the fractional state puts 4 MB on node cloud, whose budget is 0 MB"),
        (Global, "deterministic", "on tiny, played again beside another agent, slot 0 is another"),
        (SeedsTheGlobal, "deterministic", "To mend it: take every number from np.random.default_rng(seed)"),
        (OnTheClass, "deterministic", "keep nothing on the class"),
        (Writes, "without side effects", "on tiny it changed the observation of slot 0. To mend it: copy an array"),
        (WritesTheTrace, "without side effects", "on tiny it changed the requests of the trace"),
        (WritesTheNetwork, "running on every network that it accepts", "assignment destination is read-only"),
        (Foresees, "without foresight", "with the same 4 slots behind it, and another future, slot 0 is another"),
        (Remembers, "fresh after reset", "reset after other runs, slot 0 is another. To mend it: set all that it"),
        (Holds, "picklable", "pickle raised "),
        (Forgets, "picklable", "pickled amid a run, slot 4 is another"),
        (Speaks, "told in JSON", "info holds what is none: Object of type ndarray is not JSON serializable"),
        (SaysNan, "told in JSON", "info holds what is none: Out of range float values"),
        (Lists, "told in JSON", "info returned list. To mend it: return a dict"),
        (Divides, "running on every network that it accepts", "on tiny, slot 4: act raised AssertionError"),
    ],
)
def test_whatever_breaks_a_rule_is_told_which(agent: Any, rule: str, words: str) -> None:
    with pytest.raises(BrokenRule) as caught:
        check_agent(agent)
    assert caught.value.rule == rule, caught.value
    assert str(caught.value).startswith(f"{agent.__name__} is not {rule}: ")
    assert words in str(caught.value)
    assert isinstance(caught.value, IdnError)
    assert isinstance(caught.value, AssertionError)


def test_where_nothing_can_be_checked_nothing_passes() -> None:
    with pytest.raises(IdnError, match=r"Refuses: accepts none of the networks; give networks=.*: never"):
        check_agent(Refuses)
    with pytest.raises(IdnError, match="no agent 'nobody'"):
        check_agent("nobody")
