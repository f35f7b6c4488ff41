"""What every agent keeps to, as checks: ``check_agent(Always)``, or one test each with pytest.

    @pytest.mark.parametrize("check", idn_gym.testing.agent_checks)
    def test_always(check):
        check(Always)

Each is a function of the agent and of networks; a failure says which rule, what was seen, and how to mend it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from idn_gym import sources
from idn_gym.env.env import Observation
from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec
from idn_gym.plugins import METHODS
from idn_gym.scenario.workloads import Replay
from idn_gym.testing.rehearsal import (
    SEED,
    SLOTS,
    BrokenRule,
    Make,
    Networks,
    accepted,
    called,
    copied,
    made,
    name_of,
    played,
    refuse_infeasible,
    refuse_other,
    refuse_over_budget,
    stream_of,
    unpickled,
)
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import requests_csv

Agent = Make | AgentSpec | str


def check_agent(agent: Agent, networks: Networks | None = None) -> None:
    """Every check of `agent_checks`, one after the other.

    Parameters
    ----------
    agent : the class, a function that makes one, a spec, or the text of the command line, ``mine.py:Always:size=3``.
    networks : those to play on, those that it does not accept left out. None: small ones, with a single node, with
        placements that fit nowhere, with capacities that vary.

    Raises
    ------
    BrokenRule
        Of the first rule that it does not keep to.
    IdnError
        If it accepts none of the networks, or cannot be made.
    """
    for check in agent_checks:
        check(agent, networks)


def complete(agent: Agent, networks: Networks | None = None) -> None:
    """It has `reset`, `act` and `info`, and `fit` if, and only if, it says that it acts in hindsight."""
    name, player, rule = name_of(agent), made(agent), "complete"
    for method in METHODS:
        if not callable(getattr(player, method, None)):
            raise BrokenRule(name, rule, f"it has no method {method}", f"write one; needed: {', '.join(METHODS)}")
    hindsight, fits = getattr(player, "hindsight", False), callable(getattr(player, "fit", None))
    if bool(hindsight) != fits:
        seen = f"hindsight is {hindsight!r}, and there is {'a' if fits else 'no'} method fit"
        raise BrokenRule(name, rule, seen, "an agent that is shown the stream has both hindsight = True and fit(trace)")


def refuses_unknown_keywords(agent: Agent, networks: Networks | None = None) -> None:
    """Its constructor refuses a keyword that it does not know, and names it."""
    if not callable(agent):
        return  # what makes agents of texts refuses them
    try:
        agent(no_such_keyword=1)
    except (TypeError, IdnError) as error:
        if "no_such_keyword" in str(error) or "takes no arguments" in str(error):
            return
        seen = f"no_such_keyword=1 raised {type(error).__name__}: {error}"
    except Exception as error:
        seen = f"no_such_keyword=1 raised {sources.fault(error)}"
    else:
        seen = "no_such_keyword=1 was taken"
    rule = "refusing unknown keywords"
    raise BrokenRule(name_of(agent), rule, seen, "name every parameter in __init__; leave out **kwargs")


def accepts_or_refuses(agent: Agent, networks: Networks | None = None) -> None:
    """Its `accepts`, if it has one, returns or raises an `IdnError`."""
    assert accepted(agent, networks)


def feasible(agent: Agent, networks: Networks | None = None) -> None:
    """Its allocations are (P,) numbers, each 0 or 1, within every node's budget, and so is a fractional state."""
    name = name_of(agent)
    for network in accepted(agent, networks):
        player = made(agent)
        for slot, chosen in enumerate(played(name, player, network, stream_of(network))):
            refuse_infeasible(name, network, slot, chosen)
            state = getattr(player, "fractional", None)
            if state is not None:
                what = f"on {network.scenario.name}, slot {slot}: the fractional state"
                state = np.asarray(state, dtype=np.float64)
                if state.shape != (network.P,) or not ((state >= 0.0) & (state <= 1.0 + 1e-9)).all():
                    seen = f"{what} has shape {state.shape}, or values outside of [0, 1]"
                    raise BrokenRule(name, "feasible", seen, f"keep it ({network.P},), in [0, 1]")
                refuse_over_budget(name, network, what, state, slack=1e-6)


def deterministic(agent: Agent, networks: Networks | None = None) -> None:
    """The same seed and stream give the same allocations, whatever other agents and global generators do meanwhile."""
    name, how = name_of(agent), "played again beside another agent,"
    mend = "take every number from np.random.default_rng(seed), made in reset; keep nothing on the class or in globals"
    for network in accepted(agent, networks):
        first = copied(played(name, made(agent), network, stream_of(network)))
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - it is no agent's business
        again = played(name, made(agent), network, stream_of(network))
        other = played(name, made(agent), network, stream_of(network, SEED + 1), SEED + 1)
        found = [np.array(one) for one, _ in zip(again, other, strict=True)]
        refuse_other(name, network, "deterministic", first, found, how, mend)


def without_side_effects(agent: Agent, networks: Networks | None = None) -> None:
    """It changes neither the observations that it is given nor the trace; a network does not let itself be changed."""
    name = name_of(agent)
    rule, mend = "without side effects", "copy an array before changing it: np.array(values)"
    for network in accepted(agent, networks):
        stream = stream_of(network)
        given = Trace(stream.requests.copy(), stream.capacities.copy(), varying=stream.varying)
        seen_by_it: list[tuple[Observation, Observation]] = []
        for _ in played(name, made(agent), network, given, given=seen_by_it):
            pass
        where = f"on {network.scenario.name} "
        for slot, (mine, theirs) in enumerate(seen_by_it):
            if mine.keys() != theirs.keys() or any(not np.array_equal(mine[key], theirs[key]) for key in mine):
                raise BrokenRule(name, rule, f"{where}it changed the observation of slot {slot}", mend)
        for key in ("requests", "capacities"):
            if not np.array_equal(getattr(given, key), getattr(stream, key)):
                raise BrokenRule(name, rule, f"{where}it changed the {key} of the trace", mend)


def without_foresight(agent: Agent, networks: Networks | None = None) -> None:
    """On streams that begin alike it begins alike; the scenario then names a trace file, in which the future stands."""
    name, half = name_of(agent), SLOTS // 2
    if getattr(made(agent), "hindsight", False):
        return
    mend = "use the observations alone; do not draw or read the stream, and keep nothing from run to run"
    with TemporaryDirectory(prefix="idn-gym-") as folder:
        for network in accepted(agent, networks):
            file = Path(folder) / "requests.csv"
            workload = Replay(kind="trace", requests=str(file))
            stood = replace(network, scenario=network.scenario.model_copy(update={"workload": workload}))
            stream = stream_of(network)
            begun = []
            for times, plus in ((2.0, 1.0), (5.0, 3.0)):  # neither is what a seed would draw
                requests = np.concatenate([stream.requests[:half], times * stream.requests[half:] + plus])
                trace = Trace(requests, stream.capacities, varying=stream.varying)
                file.write_text("".join(requests_csv(stood, trace)))
                begun.append(copied(played(name, made(agent), stood, trace))[: half + 1])
            seen = f"with the same {half} slots behind it, and another future,"
            refuse_other(name, network, "without foresight", begun[0], begun[1], seen, mend)


def fresh_after_reset(agent: Agent, networks: Networks | None = None) -> None:
    """Reset, after whatever it played, it does what a new one does."""
    name, used = name_of(agent), made(agent)
    mend = "set all that it learns in reset, not in __init__"
    for network in 2 * accepted(agent, networks):
        stream = stream_of(network)
        expected = copied(played(name, made(agent), network, stream))
        found = copied(played(name, used, network, stream))
        refuse_other(name, network, "fresh after reset", expected, found, "reset after other runs,", mend)


def picklable(agent: Agent, networks: Networks | None = None) -> None:
    """It pickles, new or amid a run, and the copy goes on as it would have."""
    name, rule = name_of(agent), "picklable"
    mend = "define its class at the top of a module; keep no open files or functions of functions in it"
    for network in accepted(agent, networks):
        stream = stream_of(network)
        expected = copied(played(name, made(agent), network, stream))
        found = copied(played(name, unpickled(name, made(agent), mend), network, stream))
        refuse_other(name, network, rule, expected, found, "pickled before its reset,", mend)
        player = made(agent)
        begun = copied(played(name, player, network, stream, stop=SLOTS // 2))
        found = begun + copied(played(name, unpickled(name, player, mend), network, stream, begun=begun))
        refuse_other(name, network, rule, expected, found, "pickled amid a run,", mend)


def told_in_json(agent: Agent, networks: Networks | None = None) -> None:
    """What its `info` returns after a run is a mapping that JSON can hold."""
    name = name_of(agent)
    for network in accepted(agent, networks):
        player = made(agent)
        copied(played(name, player, network, stream_of(network)))
        info = called(name, network, "info", player.info)
        mend = "return a dict of strings, finite numbers, lists and dicts: float(x), array.tolist()"
        try:
            json.dumps(info, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BrokenRule(name, "told in JSON", f"info holds what is none: {error}", mend) from None
        if not isinstance(info, dict):
            raise BrokenRule(name, "told in JSON", f"info returned {type(info).__name__}", mend)


agent_checks: tuple[Callable[..., None], ...] = (
    complete,
    refuses_unknown_keywords,
    accepts_or_refuses,
    feasible,
    deterministic,
    without_side_effects,
    without_foresight,
    fresh_after_reset,
    picklable,
    told_in_json,
)
