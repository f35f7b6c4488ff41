"""What compiled code is given, by which threads, and where it is kept: no argument, thread or folder breaks it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from command_line import PATIENCE, environment
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.agent import HindsightAgent
from idn_agents.greedy import static_greedy
from idn_agents.infida.mixture_kernel import mix, node_products
from idn_agents.learning.orders_kernel import order_probability, turns
from idn_agents.optimum.local_search import TraceSearch
from idn_agents.optimum.relaxation.columns import Columns
from idn_agents.rounding.hedge import AdaHedge
from idn_agents.search import reference
from idn_agents.search.forecast import Forecast
from idn_agents.search.local_search import LocalSearch
from idn_agents.systems import network as systems
from test_house import PROJECT, modules

from idn_gym import Network, draw, kernels, load_scenario, plugins
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.kernels import compiled, threads
from idn_gym.model import allocation
from idn_gym.workload.trace import Trace

ROWS = 3
ROOT = Path(__file__).resolve().parents[2]
OF_AGENTS = {  # kernels that agents alone need stand with them
    "mix": mix,
    "node_products": node_products,
    "order_probability": order_probability,
    "turns": turns,
}
NO_KERNELS = ("Served", "fractions_of", "states_of")
KERNELS: dict[str, Any] = {
    name: getattr(kernels, name) for name in kernels.__all__ if name not in NO_KERNELS
} | OF_AGENTS
NAMES = sorted(KERNELS)


@pytest.fixture(scope="module")
def tiny() -> Network:
    """The smallest scenario."""
    return Network.compile(load_scenario("tiny"))


@pytest.fixture(scope="module")
def other() -> Network:
    """One of other sizes."""
    return Network.compile(load_scenario("topology-2-fixed"))


# --- arguments --------------------------------------------------------------------------------------------------


def arguments(network: Network) -> dict[str, dict[str, Any]]:
    """Good arguments of every kernel, in ROWS rows or slots; each call gives new arrays."""
    generator = np.random.default_rng(0)
    V, P = network.V, network.P
    placed, node = (ROWS, P), (ROWS, V)
    requests, capacities = draw(network, ROWS, 0).requests, np.repeat(network.capacities[None], ROWS, axis=0)
    held = kernels.pack(network, generator.random(placed))
    state = np.exp(kernels.project(network, generator.normal(size=placed), network.spendable))
    budgets = np.repeat(network.budgets[None], ROWS, axis=0)
    scores = generator.normal(size=placed)
    filling = kernels.pack(network, scores)
    slots = {"requests": requests, "capacities": capacities}
    window = {**slots, "load": kernels.loads(network, requests)}
    served = {**slots, "allocation": state}
    log_y = np.log(np.maximum(state, 1e-9))
    return {
        "fill_by_gain": {**window, "nodes": np.arange(V), "bonus": np.ones(P), "allocation": np.zeros(P)},
        "gain": {**served, "out": np.zeros(ROWS)},
        "gain_and_subgradient": {**served, "out": (np.zeros(ROWS), np.zeros(placed))},
        "loads": {"requests": requests},
        "joint_gains": {**window, "allocation": state[0], "sets": np.arange(P - P % 2).reshape(-1, 2)},
        "marginal_gains": {**window, "allocation": state[0], "candidates": np.arange(P)},
        "memory": {"allocation": held, "before": filling},
        "mirror_step": {
            "log_y": log_y,
            "ascent": generator.random(placed),
            "rate": np.ones(node),
            "mass": np.repeat(network.spendable[None], ROWS, axis=0),
            "budgets": budgets,
            "out": np.zeros(placed),
            "state": np.zeros(placed),
        },
        "mix": {"states": state, "weights": np.full(node, 1.0 / ROWS)},
        "node_maximum": {"values": generator.random(placed), "budgets": budgets},
        "node_products": {"states": state, "gradient": generator.random(P)},
        "order_probability": {
            "scores": scores,
            "allocation": filling,
            "turns": turns(network, scores, filling),
        },
        "pack": {"priority": scores, "budgets": budgets, "out": np.zeros(placed, dtype=np.int8)},
        "project": {"log_h": log_y, "mass": budgets * 0.5, "budgets": budgets},
        "round_dependent": {
            "allocation": state,
            "uniforms": generator.random(placed),
            "budgets": budgets,
            "out": np.zeros(placed, dtype=np.int8),
        },
        "serve": served,
        "serve_within": {**slots, "allocation": held, "before": filling, "room": budgets},
        "step_states": {
            "states": state,
            "ascent": generator.random(placed),
            "rate": np.ones(node),
            "mass": network.spendable,
        },
        "turns": {"priority": scores, "allocation": filling},
        "type_cuts": {**window, "allocation": state[0]},
        "type_gains": {**window, "allocation": state[0]},
    }


COUNTED = {"nodes": "V", "candidates": "P"}  # numbers of things, any number of them
FILLED = ("out", "state")  # and the allocation of `fill_by_gain`: written to


def is_filled(name: str, argument: str) -> bool:
    """Whether a kernel writes to an argument."""
    return argument in FILLED or (name, argument) == ("fill_by_gain", "allocation")


def other_shapes(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array wider, narrower, of another depth, of fewer and more rows, or empty."""
    yield np.concatenate([array, array[..., :1]], axis=-1)
    yield array[..., :-1].copy()
    yield np.stack([array, array])
    yield array[..., 0].copy() if array.ndim == 1 else array[:, 0].copy()
    yield array[:2].copy()
    yield np.concatenate([array, array])
    yield array[:0].copy()
    yield np.zeros((0, 0))


def refused(name: str, network: Network, values: dict[str, Any]) -> None:
    """The kernel says in one line what it does not take."""
    with pytest.raises(IdnError) as caught:
        KERNELS[name](network, **values)
    said = str(caught.value)
    assert "\n" not in said
    assert re.match(r"\w+", said)[0] in values, said  # type: ignore[index]


def cases() -> list[tuple[str, str]]:
    """Every array of every kernel; sets of placements may be lists of any lengths, and are tested by themselves."""
    network = Network.compile(load_scenario("tiny"))
    return [
        (name, argument) for name, values in arguments(network).items() for argument in values if argument != "sets"
    ]


def test_every_kernel_has_its_cases(tiny: Network) -> None:
    found = arguments(tiny)
    assert sorted(found) == NAMES
    for name, values in found.items():
        KERNELS[name](tiny, **values)  # good as they are, else what follows would show nothing


@pytest.mark.parametrize(("name", "argument"), cases())
def test_shapes(tiny: Network, name: str, argument: str) -> None:
    good = arguments(tiny)[name][argument]
    free = {("loads", "requests"), ("node_products", "states")}  # any number of rows
    for position, array in enumerate(good if isinstance(good, tuple) else (good,)):
        for wrong in other_shapes(array):
            rows_alone = wrong.ndim == array.ndim and wrong.shape[1:] == array.shape[1:]
            if rows_alone and ((name, argument) in free or argument in COUNTED):
                continue
            if is_filled(name, argument) or wrong.shape != (1, *array.shape):
                values = arguments(tiny)[name]
                values[argument] = (*good[:position], wrong, *good[position + 1 :]) if good is not array else wrong
                refused(name, tiny, values)


@pytest.mark.parametrize(("name", "argument"), cases())
def test_what_is_no_array_of_numbers(tiny: Network, name: str, argument: str) -> None:
    good = arguments(tiny)[name][argument]
    first = good[0] if isinstance(good, tuple) else good
    strange = [first.astype(object), first.astype(str), first.astype(complex), None, "words", 1.0, [[1.0], [1.0, 2.0]]]
    if is_filled(name, argument):
        still = first.copy()
        still.flags.writeable = False
        strange += [first.tolist(), first.astype(np.int64), np.repeat(first, 2, axis=-1)[..., ::2], still]
    optional = (None,) if argument in ("out", "state", "budgets") else ()
    for wrong in strange:
        if wrong is None and optional:
            continue
        values = arguments(tiny)[name]
        values[argument] = (wrong, *good[1:]) if isinstance(good, tuple) else wrong
        refused(name, tiny, values)


@pytest.mark.parametrize("wrong", [None, 1.0, 3, [1, 2], [["words"]], [[0.5]], [[-1]], [[0], [10**6]], [[[0]]]])
def test_sets_of_placements(tiny: Network, wrong: Any) -> None:
    refused("joint_gains", tiny, arguments(tiny)["joint_gains"] | {"sets": wrong})
    kernels.joint_gains(tiny, **arguments(tiny)["joint_gains"] | {"sets": [[0], [], (1, 2, 3)]})


@pytest.mark.parametrize(("name", "argument"), [case for case in cases() if case[1] in COUNTED])
def test_numbers_of_things(tiny: Network, name: str, argument: str) -> None:
    limit = getattr(tiny, COUNTED[argument])
    for wrong in ([limit], [0, -1], [2**62], np.array([2**64 - 1], dtype=np.uint64), [0.0], [True], [[0]], 0):
        refused(name, tiny, arguments(tiny)[name] | {argument: wrong})
    for good in ([], [limit - 1], np.array([0], dtype=np.uint8)):
        KERNELS[name](tiny, **arguments(tiny)[name] | {argument: good})


def test_slopes_of_terms(tiny: Network) -> None:
    terms = tiny.service.terms
    for wrong in (np.zeros(len(terms) + 1), np.zeros((1, len(terms))), np.zeros(0), "words"):
        with pytest.raises(IdnError, match="slopes"):
            terms.by_placement(wrong)  # type: ignore[arg-type]
        with pytest.raises(IdnError, match="slopes"):
            terms.by_type(wrong, np.zeros(tiny.P))  # type: ignore[arg-type]
    with pytest.raises(IdnError, match="allocation"):
        terms.by_type(np.zeros(len(terms)), np.zeros(tiny.P + 1))


@pytest.mark.parametrize("name", NAMES)
def test_forms_that_mean_the_same(tiny: Network, name: str) -> None:
    """Not contiguous, of another byte order, lists: converted, not misread."""

    def result(form: Callable[[np.ndarray], Any]) -> list[np.ndarray]:
        values = arguments(tiny)[name]
        for argument, array in values.items():
            if isinstance(array, np.ndarray) and not is_filled(name, argument):
                values[argument] = form(array)
        found = KERNELS[name](tiny, **values)
        found = found if isinstance(found, tuple) else (found,)
        return [*found, *(values[argument] for argument in values if is_filled(name, argument))]

    expected = result(np.copy)
    for form in (
        lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        np.asfortranarray,
        lambda array: array.astype(array.dtype.newbyteorder()),
        np.ndarray.tolist,
    ):
        for found, exact in zip(result(form), expected, strict=True):
            assert all(map(np.array_equal, *((a if isinstance(a, tuple) else (a,)) for a in (found, exact))))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(data=st.data())
def test_anything(tiny: Network, name: str, data: st.DataObject) -> None:
    """However arrays are shaped and whatever they hold, it is served or refused."""
    values = arguments(tiny)[name]
    sizes = st.sampled_from([0, 1, 2, ROWS, tiny.V, tiny.R, tiny.service.K, tiny.P, tiny.P + 1])
    held: Any = st.sampled_from([0.0, 1.0, 0.5, -1.0, 1e300, -1e300, np.nan, np.inf, -np.inf, 5e-324])
    counts: Any = st.sampled_from([0, 1, -1, tiny.V, tiny.P, 127, -128])
    for argument in data.draw(st.sets(st.sampled_from([*values]), min_size=1, max_size=2)):
        good = values[argument]
        if isinstance(good, tuple):
            values[argument] = tuple(array[: data.draw(sizes)] for array in good)
            continue
        alike = st.just(good.shape)
        shape = data.draw(alike | st.lists(sizes, max_size=3).map(tuple))
        of = held if good.dtype.kind == "f" else counts
        some = np.array(data.draw(st.lists(of, min_size=1, max_size=6)), dtype=good.dtype)
        values[argument] = np.resize(some, shape)
    with suppress(IdnError), np.errstate(all="ignore"):
        KERNELS[name](tiny, **values)


@pytest.mark.parametrize("value", [1.0, 7.0, -1e-9, -3e9, np.nan, np.inf, -np.inf])
def test_uniforms_say_which_entry_is_drawn(tiny: Network, value: float) -> None:
    values = arguments(tiny)["round_dependent"]
    values["uniforms"][1, 4] = value
    said = rf"^uniforms\[1, 4\]: {value}; must be in \[0, 1\)$"
    with pytest.raises(IdnError, match=said):
        kernels.round_dependent(tiny, **values)
    with pytest.raises(IdnError, match=said.replace("1, 4", "4")):
        allocation.round_dependent(tiny, values["allocation"][1], values["uniforms"][1])


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
def test_uniforms_that_are_not_looked_at_stay_at_their_node(tiny: Network) -> None:
    """On tensors with check=False: another allocation maybe, but of this node and within its budget."""
    import torch

    from idn_gym import batched

    values = arguments(tiny)["round_dependent"]
    state, uniforms = torch.from_numpy(values["allocation"]), torch.full((ROWS, tiny.P), 1e9, dtype=torch.float64)
    rounded = batched.round_dependent(tiny, state, uniforms, check=False, backend="torch").numpy()
    assert (kernels.memory(tiny, rounded, rounded)[0] <= tiny.budgets * (1.0 + 1e-9)).all()
    with pytest.raises(IdnError, match="uniforms"):
        batched.round_dependent(tiny, state, uniforms, check=False, backend="numba")
    requests = torch.ones(5, tiny.R)
    for backend in ("numba", "torch", "reference"):
        held = torch.zeros(3, tiny.P, dtype=torch.int8)
        with pytest.raises(IdnError, match="allocation: 3 rows; must be 5"):
            batched.serve(tiny, requests, torch.ones(1, tiny.P), held, backend=backend)


def test_draws_that_there_were_not(tiny: Network) -> None:
    good = arguments(tiny)["order_probability"]
    for argument, wrong in (
        ("allocation", np.full_like(good["allocation"], 127)),
        ("allocation", -good["allocation"]),
        ("turns", good["turns"] + np.int16(tiny.P)),
        ("turns", good["turns"] - np.int16(1)),
        ("turns", good["turns"].astype(np.int64) + 2**16),
        ("turns", good["turns"] + 0.5),
    ):
        refused("order_probability", tiny, good | {argument: wrong})


def test_one_allocation_for_all_slots(tiny: Network) -> None:
    """Of several only the first was looked at, and of more capacities than slots too."""
    for name in ("marginal_gains", "type_cuts", "type_gains"):
        values = arguments(tiny)[name]
        refused(name, tiny, values | {"allocation": np.zeros((ROWS, tiny.P))})
        one = {"requests": values["requests"][:1], "load": values["load"][:1]}
        refused(name, tiny, values | one)


def test_the_references_take_no_other_shapes(tiny: Network) -> None:
    one, many = np.zeros(1), np.zeros(tiny.P)
    requests = np.zeros((1, tiny.R))
    for call in (
        lambda: tiny.service.shares(one, many),
        lambda: tiny.service.potential_capacities(requests[0], one),
        lambda: tiny.service.requests_served(requests[0], one, np.zeros((tiny.R, tiny.service.K))),
        lambda: tiny.service.covering_rank(requests[0], many, one),
        lambda: tiny.memory_in_use(one),
        lambda: allocation.project(tiny, one, tiny.budgets),
        lambda: allocation.project(tiny, many, one),
        lambda: allocation.pack(tiny, one),
        lambda: allocation.round_dependent(tiny, many, one),
        lambda: reference.local_search(tiny, requests[:, :-1], many[None], many, many),
        lambda: reference.local_search(tiny, requests, np.zeros((2, tiny.P)), many, many),
        lambda: reference.local_search(tiny, requests, many[None], one, many),
        lambda: reference.local_search(tiny, requests, many[None], many, one),
        lambda: tiny.to_matrix(one),
    ):
        with pytest.raises(IdnError):
            call()


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("budgets", lambda a: a[:-1]),
        ("capacities", lambda a: a[:-1]),
        ("options", lambda a: a + 1),
        ("options", lambda a: a[:, ::-1]),
        ("placement_group", lambda a: a - 100),
        ("path_groups", lambda a: a + 2),
        ("node_start", lambda a: a[::-1]),
        ("option_count", lambda a: a + 1),
        ("repository_node", lambda a: a + 100),
    ],
)
def test_a_network_of_arrays_that_do_not_fit_each_other(tiny: Network, array: str, change: Any) -> None:
    whole: Any = next(part for part in (tiny.service, tiny) if array in part.__getstate__())
    state = whole.__getstate__()
    type(whole)(**state)  # good as it is
    with pytest.raises(IdnError, match=rf"^\w+: {array if array != 'option_count' else 'option'}"):
        type(whole)(**state | {array: change(state[array]).copy()})


# --- agents -----------------------------------------------------------------------------------------------------

AGENTS = [name for name in PROJECT["entry-points"]["idn_gym.agents"] if name not in ("random", "repository-only")]


@pytest.mark.parametrize("name", AGENTS)
def test_agents_on_another_network(tiny: Network, other: Network, name: str) -> None:
    """Observations, or the trace that an agent in hindsight is shown, of which one array does not fit."""
    for package, agents in (("torch", ("ppo",)), ("highspy", ("optimum", "dynamic-optimum", "law-aware"))):
        if name in agents:
            pytest.importorskip(package)
    agent: Any = plugins.make_agent(name, {})
    forms = {system: scenario for scenario, system in systems.AGENTS.items()}  # what agents of systems accept
    own = Network.compile(load_scenario(forms[name])) if name in forms else tiny
    right, wrong = draw(own, 4, 0), draw(other, 4, 0)
    if isinstance(agent, HindsightAgent) and getattr(agent, "hindsight", False):
        strange = np.full_like(right.requests, np.nan)
        for trace, said in (
            (wrong, "requests"),
            (Trace(right.requests, wrong.capacities), "capacities"),
            (Trace(right.requests, np.repeat(right.capacities, 4, axis=0)[:, 1:], varying=True), "capacities"),
            (Trace(strange, right.capacities), "requests"),
            (Trace(right.requests, -right.capacities), "capacities"),
        ):
            agent.reset(tiny, 0)
            with pytest.raises(IdnError, match=f"^{said} of the trace") as caught:
                agent.fit(trace)
            assert "\n" not in str(caught.value)
        return
    held = np.zeros(own.P, dtype=np.int8)
    good = observe(own, right.requests[0], own.capacities, held)
    of_other = observe(other, wrong.requests[0], other.capacities, np.zeros(other.P, dtype=np.int8))
    for key in ("requests", "allocation" if name in forms else "capacities"):  # of what it looks at
        agent.reset(own, 0)
        agent.act(good)
        with pytest.raises(IdnError, match=rf"^{key}: shape .*; must be"):
            agent.act(good | {key: of_other[key]})


def test_parts_of_agents_on_another_network(tiny: Network, other: Network) -> None:
    trace, wrong = draw(tiny, 4, 0), draw(other, 4, 0)
    load = kernels.loads(tiny, trace.requests)
    price = np.zeros(tiny.P)
    search, online = TraceSearch(tiny, trace, load, price), LocalSearch(tiny)
    online.look_at(trace.requests, trace.capacities, load, price)
    for call in (
        lambda: static_greedy(tiny, wrong),
        lambda: Columns.of(tiny, wrong),
        lambda: TraceSearch(tiny, wrong, load, price),
        lambda: TraceSearch(tiny, trace, load, price[:-1]),
        lambda: TraceSearch(tiny, trace, load[:, :-1], price),
        lambda: online.look_at(wrong.requests, tiny.capacities[None], load, price),
        lambda: online.start(np.zeros(other.P, dtype=np.int8)),
        lambda: online.charge(price[:-1]),
        lambda: search.improve(np.zeros(other.P, dtype=np.int8), np.inf),
        lambda: AdaHedge(3, 2).see(np.zeros((2, 3))),
        lambda: AdaHedge(3).see(np.zeros(3)),
        lambda: AdaHedge(0),
        lambda: Forecast(tiny, 0).see(wrong.requests[0], tiny.capacities),
        lambda: Forecast(tiny, 0).see(trace.requests[0], other.capacities),
    ):
        with pytest.raises(IdnError):
            call()


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
def test_a_batch_of_agents_on_another_network(tiny: Network, other: Network) -> None:
    """From the first slot on, in which nothing is learnt yet."""
    import torch
    from idn_agents.infida.batch import InfidaBatch

    good = {"requests": torch.zeros(2, tiny.R), "capacities": torch.ones(tiny.P)}
    for slots in (0, 1):
        for key, wrong in (
            ("requests", torch.zeros(2, other.R)),
            ("requests", torch.zeros(3, tiny.R)),
            ("requests", np.zeros((2, tiny.R))),
            ("capacities", torch.ones(2, other.P)),
            ("capacities", torch.ones(1, 2, tiny.P)),
        ):
            agents = InfidaBatch([{"rounding": "coordinated"}, {}])
            agents.reset(tiny, range(2))
            for _ in range(slots):
                agents.act(good)
            with pytest.raises(IdnError, match=f"^{key}: "):
                agents.act(good | {key: wrong})  # type: ignore[dict-item]


# --- threads ----------------------------------------------------------------------------------------------------


class Pool(ThreadPoolExecutor):
    """Refuses to be asked from a thread that is at work on rows: that is where a wait might never end."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.asked, self.at_work = 0, set[int]()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As any pool does."""
        assert threading.get_ident() not in self.at_work, "a call from inside asked other threads"
        self.asked += 1
        return super().submit(self._marked, fn)

    def _marked(self, fn: Any) -> Any:
        self.at_work.add(threading.get_ident())
        return fn()


@pytest.fixture(params=[2, 3])
def pool(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Pool]:
    """Several threads, which share whatever there is."""
    monkeypatch.setattr(threads.config, "NUMBA_NUM_THREADS", request.param)
    monkeypatch.setattr(threads, "_WORTH_SHARING", 1)
    with Pool(request.param - 1) as made:
        monkeypatch.setattr(threads, "_pool", cache(lambda: made))
        yield made


def alone(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> Any:
    """What comes of it in one thread."""
    with monkeypatch.context() as patch:
        patch.setattr(threads.config, "NUMBA_NUM_THREADS", 1)
        return work()


class TestThreads:
    def test_all_rows_are_done_once(self, pool: Pool) -> None:
        for rows in (0, 1, 2, 7, 24, 100):
            done = np.zeros(rows, dtype=np.int64)

            def work(first: int, stop: int, done: np.ndarray = done) -> None:
                done[first:stop] += 1

            threads.over_rows(rows, 1, work)
            assert (done == 1).all()
        assert pool.asked > 0

    def test_a_call_from_inside_runs_where_it_is(self, pool: Pool) -> None:
        """Three deep; on the pool's threads as on the caller's, which is at work no less."""
        seen: list[tuple[int, int]] = []

        def outer(first: int, stop: int) -> None:
            here = threading.get_ident()
            pool.at_work.add(here)
            threads.over_rows(8, 1, lambda *_: threads.over_rows(8, 1, lambda *_: inner(here)))

        def inner(here: int) -> None:
            seen.append((here, threading.get_ident()))

        threads.over_rows(24, 1, outer)
        assert seen
        assert all(here == there for here, there in seen)

    def test_after_an_error_rows_are_shared_again(self, pool: Pool) -> None:
        def fails(first: int, stop: int) -> None:
            raise IdnError(f"row {first}")

        for _ in range(3):
            asked = pool.asked
            with pytest.raises(IdnError, match=r"^row 0$"):
                threads.over_rows(24, 1, fails)
            assert pool.asked > asked

    def test_an_error_ends_the_others_and_the_lowest_is_passed_on(self, pool: Pool) -> None:
        at_once = threads.config.NUMBA_NUM_THREADS
        together = threading.Barrier(at_once, timeout=PATIENCE)  # so that no thread takes two pieces before one fails
        begun = []

        def work(first: int, stop: int) -> None:
            begun.append(first)
            if len(begun) <= at_once:
                together.wait()
            raise IdnError(f"row {first}")

        with pytest.raises(IdnError, match=r"^row 0$"):
            threads.over_rows(120, 1, work)
        assert len(begun) == at_once
        assert min(begun) == 0

    def test_a_users_own_threads(self, pool: Pool) -> None:
        """They call at the same time, from inside work too, and wait for one another."""
        with ThreadPoolExecutor(4) as users:

            def total(rows: int, inside: bool) -> int:
                done = np.zeros(rows, dtype=np.int64)

                def work(first: int, stop: int) -> None:
                    done[first:stop] += users.submit(total, 5, False).result() if inside else 1

                threads.over_rows(rows, 1, work)
                return int(done.sum())

            assert total(12, True) == 60
            assert [each.result() for each in [users.submit(total, 12, False) for _ in range(20)]] == [12] * 20

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_child_that_is_forked_at_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(threads.config, "NUMBA_NUM_THREADS", 2)
        monkeypatch.setattr(threads, "_WORTH_SHARING", 1)
        ended = []

        def work(first: int, stop: int) -> None:
            if first or ended:
                return
            child = os.fork()
            if child == 0:
                seen: set[int] = set()
                both = threading.Barrier(2, timeout=60)
                try:
                    threads.over_rows(2, 1, lambda *_: (both.wait(), seen.add(threading.get_ident())))
                finally:
                    os._exit(0 if len(seen) == 2 else 1)
            ended.append(os.waitpid(child, 0)[1])

        threads.over_rows(8, 1, work)
        threads._pool.cache_clear()
        assert ended == [0]

    @pytest.mark.parametrize("name", NAMES)
    def test_rows_do_not_depend_on_who_does_them(
        self, tiny: Network, pool: Pool, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        def result() -> bytes:
            values = arguments(tiny)[name]
            found = KERNELS[name](tiny, **values)
            arrays = [*(found if isinstance(found, tuple) else (found,)), *values.values()]
            return b"".join(np.asarray(array).tobytes() for array in arrays if isinstance(array, np.ndarray))

        assert result() == alone(monkeypatch, result)

    @pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
    @pytest.mark.parametrize("rounding", ["coordinated", "guarded"])
    def test_a_batch_that_rounds_coordinated(
        self, tiny: Network, pool: Pool, monkeypatch: pytest.MonkeyPatch, rounding: str
    ) -> None:
        """Searches serve a window, which is shared out, inside rows, which are."""
        import torch
        from idn_agents.infida.batch import InfidaBatch

        def result() -> list[Any]:
            agents = InfidaBatch([{"rounding": rounding, "window": 6}] * 4)
            agents.reset(tiny, range(4))
            capacities = torch.from_numpy(tiny.capacities.copy()).expand(4, -1)
            found = []
            for requests in draw(tiny, 12, 0).requests:
                seen = {"requests": torch.from_numpy(requests.copy()).expand(4, -1), "capacities": capacities}
                found.append(agents.act(seen).tolist())
            return found

        assert result() == alone(monkeypatch, result)

    def test_an_adversary_in_every_environment(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each weighs up all types in every slot, while blocks of several environments are drawn at once."""

        def result() -> list[Any]:
            env = gymnasium.make_vec("IDN/Scenario-v0", num_envs=4, scenario="adversary", horizon=4)
            env.reset(seed=0)
            actions = np.zeros(env.action_space.shape, dtype=np.int8)  # type: ignore[arg-type]
            return [env.step(actions)[0]["requests"].tolist() for _ in range(3)]

        assert result() == alone(monkeypatch, result)


# --- what is compiled, and where it is kept -----------------------------------------------------------------------


def test_all_that_is_compiled_goes_through_one_decorator() -> None:
    for name, path in modules():
        text = path.read_text(encoding="utf-8")
        if name != "idn_gym.kernels.compiled":
            assert not re.search(r"\bn?jit\b.*numba|numba.*\bn?jit\b|cache=True", text), name


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What has been said on stderr, with nothing on stdout; as if nothing had been before."""
    for memory in (compiled._say_once, compiled._can_write, compiled._temporary):
        memory.cache_clear()

    def read() -> str:
        out, err = capfd.readouterr()
        assert out == ""
        return err

    yield read
    for memory in (compiled._say_once, compiled._can_write, compiled._temporary):
        memory.cache_clear()


def doubled(folder: Path) -> Any:
    """A function of a module in that folder, not compiled yet."""
    folder.mkdir(exist_ok=True)
    source = "def double(x):\n    return 2 * x\n"
    (folder / "module.py").write_text(source)
    space: dict[str, Any] = {"__name__": "module"}
    exec(compile(source, str(folder / "module.py"), "exec"), space)
    return space["double"]


def temporary(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Where temporary files go, as far as compiled code is concerned."""
    here = SimpleNamespace(gettempdir=lambda: str(folder), TemporaryFile=tempfile.TemporaryFile)
    monkeypatch.setattr(compiled, "tempfile", here)


def nowhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No folder to keep anything in: not beside the source, no home, nothing for temporary files."""
    folder.mkdir(exist_ok=True)
    (folder / "__pycache__").write_text("")  # holds for root too, whom no permissions stop
    monkeypatch.setattr(compiled.config, "CACHE_DIR", "")
    monkeypatch.setenv("HOME", f"{os.devnull}/home")
    monkeypatch.setenv("XDG_CACHE_HOME", f"{os.devnull}/cache")
    monkeypatch.setenv("LOCALAPPDATA", f"{os.devnull}/cache")
    temporary(monkeypatch, Path(os.devnull))


class TestKept:
    def test_beside_the_source(self, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compiled.config, "CACHE_DIR", "")
        assert compiled.compiled()(doubled(tmp_path))(21) == 42
        assert list((tmp_path / "__pycache__").glob("module.double*.nbi"))
        assert said() == ""

    @pytest.mark.parametrize("where", ["named", "user", "temporary"])
    def test_elsewhere(
        self, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        nowhere(monkeypatch, tmp_path / "package")
        there = tmp_path / "there"
        there.mkdir()
        if where == "named":
            monkeypatch.setattr(compiled.config, "CACHE_DIR", str(there))
        elif where == "user":
            if sys.platform != "linux":
                pytest.skip("the folder of a user's caches is named otherwise")
            monkeypatch.setenv("XDG_CACHE_HOME", str(there))
        else:
            temporary(monkeypatch, there)
        named = compiled.config.CACHE_DIR
        assert compiled.compiled()(doubled(tmp_path / "package"))(21) == 42
        assert list(there.rglob("module.double*.nbi"))
        assert named == compiled.config.CACHE_DIR
        assert said() == ""

    def test_no_folder_at_all(self, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
        """In a word, once, and only when something is compiled."""
        nowhere(monkeypatch, tmp_path)
        before = sorted(tmp_path.rglob("*"))
        functions = [compiled.compiled(error_model="numpy")(doubled(tmp_path)) for _ in range(2)]
        assert said() == ""
        assert [function(21) for function in functions] == [42, 42]
        assert said().count("\n") == 1
        assert {*tmp_path.rglob("*")} == {*before, tmp_path / "module.py"}

    def test_without_a_home_nothing_lands_in_the_current_folder(
        self, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nowhere(monkeypatch, tmp_path / "package")
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where a user has no entry
        temporary(monkeypatch, tmp_path / "here")
        assert compiled.compiled()(doubled(tmp_path / "package"))(21) == 42
        assert not list((tmp_path / "here").iterdir())

    @pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
    def test_a_folder_that_others_may_write_to_is_not_read(
        self, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nowhere(monkeypatch, tmp_path / "package")
        temporary(monkeypatch, tmp_path)
        theirs = tmp_path / f"idn-gym-{os.getuid()}"
        theirs.mkdir()
        theirs.chmod(0o777)
        assert compiled.compiled()(doubled(tmp_path / "package"))(21) == 42
        assert not list(theirs.iterdir())

    def test_no_room(self, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(compiled.config, "CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
        assert compiled.compiled()(doubled(tmp_path))(21) == 42
        assert said().count("\n") == 1

    @pytest.mark.parametrize("damaged", ["*.nbi", "*.nbc"])
    def test_a_damaged_file_is_made_anew(
        self, tmp_path: Path, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch, damaged: str
    ) -> None:
        monkeypatch.setattr(compiled.config, "CACHE_DIR", str(tmp_path / "cache"))
        function = doubled(tmp_path)
        assert compiled.compiled()(function)(21) == 42
        (file,) = (tmp_path / "cache").rglob(damaged)
        for content in (b"", b"not a pickle", file.read_bytes()[:40]):
            file.write_bytes(content)
            assert compiled.compiled()(function)(21) == 42
            again = compiled.compiled()(function)
            assert again(21) == 42
            assert sum(again.stats.cache_hits.values()) == 1
        assert said() == ""


READ_ONLY = """
import os, sys, tempfile
tempfile.tempdir = os.devnull
from idn_gym.cli import main
sys.argv = ["idn-gym", "list"]
try:
    main()
except SystemExit as end:
    assert not end.code
print("made nothing", file=sys.stderr)
import gymnasium, idn_gym
env = gymnasium.make("IDN/Tiny-v0")
env.reset(seed=0)
print(idn_gym.__file__, env.step(env.action_space.sample() * 0 + 1)[1])
"""


def test_a_read_only_installation_without_a_home(tmp_path: Path) -> None:
    """Lists, makes and steps as any other does; a file where the folder would be stops root as well."""
    for source in (ROOT / "idn_gym", ROOT / "agents" / "idn_agents"):
        shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in {path.parent for path in tmp_path.rglob("*.py")}:
        (folder / "__pycache__").write_text("")
    bare = {"HOME": f"{os.devnull}/home", "XDG_CACHE_HOME": f"{os.devnull}/cache", "NUMBA_CACHE_DIR": os.devnull}
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY],
        cwd=tmp_path,
        env=environment() | bare | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, _, second = done.stderr.partition("made nothing\n")
    assert first == ""
    assert second.startswith("idn-gym: ")
    assert second.count("\n") == 1
    module, reward = done.stdout.splitlines()[-1].split(" ")
    assert Path(module).is_relative_to(tmp_path)
    env = gymnasium.make("IDN/Tiny-v0")
    env.reset(seed=0)
    assert float(reward) == env.step(env.action_space.sample() * 0 + 1)[1]
