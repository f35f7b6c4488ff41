"""The batched functions: every backend against the reference, laws of batches, autograd, refusals."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from instances import with_services

from idn_gym import IdnError, Network, draw, kernels, load_scenario
from idn_gym.model import allocation, gain

torch = pytest.importorskip("torch")
batched = pytest.importorskip("idn_gym.batched")

BACKENDS = ["numba", "torch"]
DTYPES = [torch.float64, torch.float32]
ROWS = 5


@pytest.fixture(scope="module", params=["one class", "services"])
def network(request: pytest.FixtureRequest) -> Network:
    plain = Network.compile(load_scenario("topology-2-fixed"))
    return plain if request.param == "one class" else with_services(plain, 0)


@pytest.fixture(scope="module", params=["one class", "services"])
def tiny(request: pytest.FixtureRequest) -> Network:
    plain = Network.compile(load_scenario("tiny"))
    return plain if request.param == "one class" else with_services(plain, 0)


def slots(network: Network, regime: str, dtype: Any, rows: int = ROWS) -> list[Any]:
    """Requests (B, R), capacities (B, P), allocation (B, P): loose is uniform, tight spends the budgets."""
    generator = np.random.default_rng(1)
    requests = draw(network, rows, 0).requests
    capacities = network.capacities * generator.uniform(0.02, 1.5, size=(rows, network.P))
    y = generator.random((rows, network.P))
    if regime == "tight":
        log_h = generator.normal(scale=2.0, size=y.shape)
        y = np.exp(np.stack([allocation.project(network, row, network.spendable) for row in log_h]))
    return [torch.from_numpy(array).to(dtype) for array in (requests, capacities, np.minimum(y, 1.0))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("regime", ["loose", "tight"])
def test_gain_and_subgradient_are_the_reference(network: Network, backend: str, dtype: Any, regime: str) -> None:
    arguments = slots(network, regime, dtype)
    exact, close = (1e-12, 1e-12) if dtype == torch.float64 else (1e-6, 1e-5)
    rows = [[array[b].double().numpy() for array in arguments] for b in range(ROWS)]
    expected = np.array([gain.allocation_gain(network, *row) for row in rows])
    gradient = np.array([gain.subgradient(network, *row) for row in rows])
    found, subgradient = batched.gain_and_subgradient(network, *arguments, backend=backend)
    alone = batched.gain(network, *arguments, backend=backend)
    assert found.dtype == subgradient.dtype == alone.dtype == dtype
    assert alone.numpy() == pytest.approx(expected, rel=exact)
    # the covering test may stop a relative 1e-5 of the batch early, which no more than that share of the cost can miss
    slack = (
        0.0 if dtype == torch.float64 else 1e-5 * (arguments[0].double().numpy() @ network.service.costs[:, -1]).max()
    )
    assert found.numpy() == pytest.approx(expected, rel=exact, abs=slack)
    assert subgradient.numpy() == pytest.approx(gradient, abs=close * gradient.max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_serving_is_the_reference(network: Network, backend: str) -> None:
    arguments = slots(network, "tight", torch.float64)
    whole = (arguments[2] > 0.5).to(torch.int8)
    for y in (arguments[2], whole):
        found = batched.serve(network, *arguments[:2], y, backend=backend)
        expected = batched.serve(network, *arguments[:2], y.double(), backend="reference")
        for got, wanted in zip(found, expected, strict=True):
            assert got.numpy() == pytest.approx(wanted.numpy(), rel=1e-11, abs=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_supergradient_bounds_the_gain_at_ties(tiny: Network, backend: str, dtype: Any) -> None:
    """Covered to the last bit: sixteenths of capacities that are sixteenths of what passes."""
    generator = np.random.default_rng(2)
    rows = 40
    requests = np.full((rows, tiny.R), 16.0)
    capacities = generator.integers(1, 64, size=(rows, tiny.P)).astype(np.float64)
    y, other = (generator.integers(0, 5, size=(2, rows, tiny.P)) / 4).astype(np.float64)
    r, c, at, away = (torch.from_numpy(array).to(dtype) for array in (requests, capacities, y, other))
    value, g = batched.gain_and_subgradient(tiny, r, c, at, backend=backend)
    elsewhere = batched.gain(tiny, r, c, away, backend=backend)
    bound = value.double() + (g.double() * (away - at).double()).sum(1)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-9
    step = np.diff(tiny.service.costs, axis=1).max(axis=1)
    # what the covering test forgives, and the rounding of the sums
    slack = tolerance * requests @ step + 64 * torch.finfo(dtype).eps * requests @ tiny.service.costs[:, -1]
    assert (elsewhere.double().numpy() <= bound.numpy() + slack).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_projection_pack_and_rounding_are_the_reference(network: Network, backend: str, dtype: Any) -> None:
    generator = np.random.default_rng(3)
    shape = (ROWS, network.P)
    log_h, uniforms = generator.normal(size=shape), generator.random(shape)
    log_h, uniforms = (torch.from_numpy(array).to(dtype) for array in (log_h, uniforms))
    expected = np.stack([allocation.project(network, h, network.spendable) for h in log_h.double().numpy()])
    log_y = batched.project(network, log_h, network.spendable, backend=backend)
    assert log_y.exp().numpy() == pytest.approx(np.exp(expected), rel=1e-11 if dtype == torch.float64 else 2e-6)
    packed = batched.pack(network, log_h, backend=backend)
    assert packed.tolist() == [allocation.pack(network, h).tolist() for h in log_h.double().numpy()]
    y = torch.from_numpy(np.exp(expected)).to(dtype).clamp(max=1.0)
    tailed = torch.where(torch.from_numpy(generator.random(shape) < 0.6), 1e-5 * y, y)
    for residual, state in itertools.product(("drop", "coin", "fit"), (y, tailed)):
        rounded = batched.round_dependent(network, state, uniforms, residual, backend=backend)
        pairs = zip(state.double().numpy(), uniforms.double().numpy(), strict=True)
        assert rounded.tolist() == [allocation.round_dependent(network, *pair, residual).tolist() for pair in pairs]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_row_has_its_own_budgets(backend: str) -> None:
    alone = [
        Network.compile(load_scenario("tiny", [f"nodes.{node}.budget={budget}"]))
        for node, budget in (("bs0", 1.0), ("bs0", 4.0), ("bs1", 100.0))
    ]
    network, generator = alone[0], np.random.default_rng(4)
    log_h, uniforms = generator.normal(size=(3, network.P)), generator.random((3, network.P))
    budgets = torch.from_numpy(np.stack([one.budgets for one in alone]))
    mass = torch.from_numpy(np.stack([one.spendable for one in alone]))
    tensors = torch.from_numpy(log_h), torch.from_numpy(uniforms)
    log_y = batched.project(network, tensors[0], mass, budgets=budgets, backend=backend)
    expected = np.stack([allocation.project(one, h, one.spendable) for one, h in zip(alone, log_h, strict=True)])
    assert log_y.exp().numpy() == pytest.approx(np.exp(expected), rel=1e-12)
    packed = batched.pack(network, tensors[0], budgets=budgets, backend=backend)
    assert packed.tolist() == [allocation.pack(one, h).tolist() for one, h in zip(alone, log_h, strict=True)]
    y = torch.from_numpy(np.exp(expected))
    rounded = batched.round_dependent(network, y, tensors[1], budgets=budgets, backend=backend)
    rows = zip(alone, y.numpy(), uniforms, strict=True)
    assert rounded.tolist() == [allocation.round_dependent(*row).tolist() for row in rows]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_does_not_depend_on_the_batch(network: Network, backend: str, dtype: Any) -> None:
    """Enough rows for threads and chunks; alone, permuted and together, to the last bit."""
    rows = 200
    arguments = slots(network, "loose", dtype, rows)
    arguments[1] = arguments[1][:1]  # one row serves all
    together = batched.gain_and_subgradient(network, *arguments, backend=backend)
    order = torch.from_numpy(np.random.default_rng(5).permutation(rows))
    permuted = [array if len(array) == 1 else array[order] for array in arguments]
    for found, expected in zip(
        batched.gain_and_subgradient(network, *permuted, backend=backend), together, strict=True
    ):
        assert torch.equal(found, expected[order])
    for b in (0, 63, 64, 199):
        row = [array[:1] if len(array) == 1 else array[b : b + 1] for array in arguments]
        found = batched.gain_and_subgradient(network, *row, backend=backend)
        assert all(torch.equal(one[0], many[b]) for one, many in zip(found, together, strict=True))


def test_results_go_where_they_are_asked_to(network: Network) -> None:
    arguments = slots(network, "tight", torch.float32)
    out = torch.empty(ROWS), torch.empty(ROWS, network.P)
    found = batched.gain_and_subgradient(network, *arguments, out=out)
    assert found[0] is out[0]
    assert found[1] is out[1]
    expected = batched.gain_and_subgradient(network, *arguments)
    assert all(torch.equal(a, b) for a, b in zip(out, expected, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_backward_is_the_derivative(tiny: Network, backend: str) -> None:
    """Finite differences, where the gain is linear: at a random point, far from every kink."""
    requests, capacities, y = slots(tiny, "loose", torch.float64, rows=3)
    y.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda at: batched.gain(tiny, requests, capacities, at, backend=backend), (y,), eps=1e-7, rtol=1e-5, atol=1e-5
    )
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    (weights * batched.gain(tiny, requests, capacities, y, backend=backend)).sum().backward()
    gradient = batched.gain_and_subgradient(tiny, requests, capacities, y.detach(), backend=backend)[1]
    assert torch.equal(y.grad, weights[:, None] * gradient)
    one = y.detach()[0].requires_grad_()
    batched.gain(tiny, requests, capacities, one, backend=backend).sum().backward()
    assert one.grad.shape == (tiny.P,)


def test_ascent_through_autograd_finds_what_pays(tiny: Network) -> None:
    requests, capacities, _ = slots(tiny, "loose", torch.float32, rows=1)
    scores = torch.zeros(1, tiny.P, requires_grad=True)
    optimiser = torch.optim.Adam([scores], lr=0.5)
    for _ in range(50):
        optimiser.zero_grad()
        (-batched.gain(tiny, requests, capacities, torch.sigmoid(scores))).sum().backward()
        optimiser.step()
    everything = batched.gain(tiny, requests, capacities, torch.ones(1, tiny.P))
    assert batched.gain(tiny, requests, capacities, torch.sigmoid(scores).detach()) > 0.99 * everything


def refusals(tiny: Network) -> dict[str, tuple[Any, str]]:
    r, c, y = slots(tiny, "tight", torch.float32, rows=2)
    nan = y.clone()
    nan[1, 3] = torch.nan
    u = torch.rand(2, tiny.P)
    g = batched.gain_and_subgradient
    return {
        "shape": (lambda: g(tiny, r[:, :-1], c, y), rf"requests: shape \(2, {tiny.R - 1}\)"),
        "rows": (lambda: g(tiny, r, c, torch.zeros(3, tiny.P)), "requests: 2 rows; must be 3, or 1"),
        "dtype": (lambda: g(tiny, r, c, y.double()), "allocation: dtype torch.float64; must be torch.float32"),
        "no float": (lambda: g(tiny, r.long(), c, y), "requests: dtype torch.int64"),
        "device": (lambda: g(tiny, r, c.to("meta"), y), "capacities: on meta; must be on cpu"),
        "no tensor": (lambda: g(tiny, r, c.numpy(), y), "capacities: ndarray; must be a torch.Tensor"),
        "nan": (lambda: g(tiny, r, c, nan), r"allocation\[1, 3\]: nan; must be in \[0, 1\]"),
        "negative": (lambda: g(tiny, -1 - r, c, y), r"requests\[0, 0\]: .*; must be finite and >= 0"),
        "backend": (lambda: g(tiny, r, c, y, backend="cuda"), "backend: 'cuda'; allowed: numba"),
        "out": (lambda: g(tiny, r, c, y, out=(torch.empty(3), torch.empty(2, tiny.P))), r"out\[0\]: .* shape \(3,\)"),
        "budget": (
            lambda: batched.round_dependent(tiny, torch.ones(2, tiny.P), u),
            r"allocation\[0\]: node \w+ holds .* MB; its budget is",
        ),
        "uniforms": (lambda: batched.round_dependent(tiny, y, u + 1.0), r"uniforms\[0, 0\]"),
        "priority": (lambda: batched.pack(tiny, nan), "priority: holds NaN"),
        "log_h": (lambda: batched.project(tiny, nan, tiny.spendable), "log_h: holds NaN"),
        "mass": (lambda: batched.project(tiny, y, np.ones(tiny.V + 1)), r"mass: shape \(5,\)"),
        "residual": (lambda: batched.round_dependent(tiny, y, u, "keep"), "residual: 'keep'; allowed"),
    }


@pytest.mark.parametrize("fault", list(refusals(Network.compile(load_scenario("tiny")))))
def test_bad_input_is_one_error_that_names_it(tiny: Network, fault: str) -> None:
    call, message = refusals(tiny)[fault]
    with pytest.raises(IdnError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_values_go_unchecked_on_demand_and_shapes_never(tiny: Network) -> None:
    r, c, y = slots(tiny, "tight", torch.float32, rows=2)
    batched.gain_and_subgradient(tiny, r, c, y * torch.nan, check=False)
    with pytest.raises(IdnError, match="requests: shape"):
        batched.gain_and_subgradient(tiny, r[:, :-1], c, y, check=False)


def test_kernels_fill_given_arrays_in_their_dtype(network: Network) -> None:
    arguments = [array.numpy() for array in slots(network, "tight", torch.float32)]
    out = np.empty(ROWS, np.float32), np.empty((ROWS, network.P), np.float32)
    assert kernels.gain_and_subgradient(network, *arguments, 1e-5, out)[0] is out[0]
    expected = kernels.gain_and_subgradient(network, *arguments, 1e-5)
    assert expected[0].dtype == np.float64
    assert out[0] == pytest.approx(expected[0], rel=1e-6)
    assert out[1] == pytest.approx(expected[1], abs=1e-6 * expected[1].max())


def test_backends_say_what_they_can_take(tiny: Network) -> None:
    from dataclasses import replace

    from idn_gym.batched import accepts

    accepts(tiny)
    with pytest.raises(IdnError, match=r"^idn_gym\.batched: takes request types that rank their options, not object$"):
        accepts(replace(tiny, service=object()))  # type: ignore[arg-type]
