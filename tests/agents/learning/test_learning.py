"""Learners: features by what they are invariant to, action probabilities by counting, training by repeating it."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instances import ANY_JSON, with_services

torch = pytest.importorskip("torch")

from idn_agents.learning import checkpoint, orders_kernel  # noqa: E402
from idn_agents.learning.checkpoint import load_policy, refuse_other_network, save_policy  # noqa: E402
from idn_agents.learning.features import NAMES, Features  # noqa: E402
from idn_agents.learning.orders import Filling, Orders  # noqa: E402
from idn_agents.learning.policy import FlatPolicy, FlatView, PlacementPolicy  # noqa: E402
from idn_agents.learning.ppo_torch import PPO, Trainer, advantages, make_policy  # noqa: E402

from idn_gym import batched, kernels  # noqa: E402
from idn_gym.env.env import observe  # noqa: E402
from idn_gym.errors import IdnError  # noqa: E402
from idn_gym.experiment.play import play  # noqa: E402
from idn_gym.experiment.spec import AgentSpec  # noqa: E402
from idn_gym.library.load import load_scenario  # noqa: E402
from idn_gym.model.network import Network  # noqa: E402
from idn_gym.scenario import Scenario, parse  # noqa: E402
from idn_gym.workload.stream import draw  # noqa: E402  # noqa: E402


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


def tensors(network: Network, requests: np.ndarray, held: np.ndarray, rows: int = 1) -> dict[str, Any]:
    observation = observe(network, requests, network.capacities, held)
    return {key: torch.from_numpy(value)[None].expand(rows, -1).contiguous() for key, value in observation.items()}


def relabelled(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    """The same system, written down in another order: nodes, models, tasks, links."""
    values = scenario.to_dict()
    values["requests"] = [
        {"task": task, "path": path} for task, path in named_types(Network.compile(scenario))
    ]  # explicit, so that the order of nodes does not decide between routes
    for key in ("nodes", "models", "tasks", "links", "requests"):
        values[key] = [values[key][i] for i in rng.permutation(len(values[key]))]
    return parse(values, "relabelled")


def named_types(network: Network) -> list[tuple[str, list[str]]]:
    return [
        (network.scenario.tasks[network.type_task[rho]], [network.node_names[v] for v in network.paths[rho] if v >= 0])
        for rho in range(network.R)
    ]


# --- what a policy sees, and what it makes of it


@pytest.mark.parametrize("name", ["tiny", "topology-2-bursty"])
def test_relabelling_a_network_relabels_features_and_scores_and_nothing_else(name: str) -> None:
    scenario = load_scenario(name)
    first, rng = Network.compile(scenario), np.random.default_rng(5)
    second = Network.compile(relabelled(scenario, rng))
    of_type = {pair[0] + ">".join(pair[1]): rho for rho, pair in enumerate(named_types(first))}
    types = [of_type[task + ">".join(path)] for task, path in named_types(second)]
    nodes = [first.node_names.index(name) for name in second.node_names]
    models = [first.model_names.index(name) for name in second.model_names]
    placements = first.placement_index[np.array(nodes)[second.placement_node], np.array(models)[second.placement_model]]
    assert sorted(placements) == list(range(first.P))
    assert list(placements) != list(range(first.P)), "the order is another"
    torch.manual_seed(3)
    policy = PlacementPolicy(8)
    views = [policy.view(network, 1) for network in (first, second)]
    trace = draw(first, 4, 2)
    held = np.zeros(first.P)
    for t in range(4):
        seen = [
            views[0].see(tensors(first, trace.requests[t], held)),
            views[1].see(tensors(second, trace.requests[t][types], held[placements])),
        ]
        torch.testing.assert_close(seen[1], seen[0][:, placements], rtol=1e-3, atol=1e-4)
        with torch.no_grad():
            scores = [policy(x, view) for x, view in zip(seen, views, strict=True)]
        torch.testing.assert_close(scores[1], scores[0][:, placements], rtol=1e-2, atol=1e-2)
        held = batched.pack(first, scores[0])[0].numpy().astype(np.float64)


def test_features_know_no_units(tiny: Network) -> None:
    """Requests with capacities, and sizes with budgets, in other units."""
    values = load_scenario("tiny").to_dict()
    for model in values["models"]:
        for profile in model["profiles"].values():
            profile["throughput"] *= 1000.0
            profile["size"] *= 7.0
    for node in values["nodes"]:
        node["budget"] *= 7.0
    other = Network.compile(parse(values, "tiny"))
    seen = [Features(network, 1) for network in (tiny, other)]
    held = np.zeros(tiny.P)
    held[2] = 1.0
    for requests in ([8.0, 8.0, 4.0, 4.0], [1.0, 9.0, 2.0, 5.0], [3.0, 3.0, 3.0, 3.0]):
        found = [
            features.see(tensors(network, np.array(requests) * unit, held))
            for features, network, unit in zip(seen, (tiny, other), (1.0, 1000.0), strict=True)
        ]
        torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)


def test_features_are_finite_before_and_after_the_first_batch_and_lie_in_range(tiny: Network) -> None:
    features = Features(tiny, 2)
    for requests in (np.zeros(tiny.R), np.array([5.0, 0.0, 0.0, 0.0]), np.zeros(tiny.R), np.full(tiny.R, 1e6)):
        found = features.see(tensors(tiny, requests, np.zeros(tiny.P), rows=2))
        assert found.shape == (2, tiny.P, len(NAMES))
        assert bool(torch.isfinite(found).all())
        assert float(found.min()) >= -1e-6
    relative = found[:, :, [NAMES.index(name) for name in NAMES if name != "stakes"]]
    assert float(relative.max()) <= 1.0 + 1e-5


def test_features_count_the_requests_of_all_classes(tiny: Network) -> None:
    """What passes a group is the same whatever goes first, and so is what a placement serves of it."""
    plain, other = (Features(network, 1) for network in (tiny, with_services(tiny, 0)))
    same = [NAMES.index(name) for name in ("coverage", "load", "size", "held")]
    for requests in ([8.0, 8.0, 4.0, 4.0], [1.0, 9.0, 2.0, 5.0]):
        found = [one.see(tensors(tiny, np.array(requests), np.zeros(tiny.P))) for one in (plain, other)]
        torch.testing.assert_close(found[0][:, :, same], found[1][:, :, same])
        assert not torch.allclose(found[0], found[1]), "gains are others"


def test_forecast_is_the_last_batch_where_popularity_jumps_and_the_average_where_counts_burst(tiny: Network) -> None:
    def staleness(batches: np.ndarray) -> float:
        features = Features(tiny, 1)
        for batch in batches:
            found = features.see(tensors(tiny, batch, np.zeros(tiny.P)))
        return float(found[0, 0, NAMES.index("staleness")])

    rng = np.random.default_rng(0)
    steps = np.repeat(rng.uniform(1.0, 100.0, (6, tiny.R)), 10, axis=0)  # every tenth slot another level
    assert staleness(steps) == pytest.approx(1.0), "the last batch forecasts best"
    assert staleness(rng.gamma(0.3, 100.0, (60, tiny.R))) < 0.8, "an average forecasts better"


def test_what_is_forgotten_starts_anew(tiny: Network) -> None:
    batches = np.random.default_rng(1).uniform(0.0, 9.0, (5, tiny.R))
    old, new = Features(tiny, 2), Features(tiny, 1)
    for batch in batches[:3]:
        old.see(tensors(tiny, batch, np.zeros(tiny.P), rows=2))
    old.forget(torch.tensor([True, False]))
    for batch in batches[3:]:
        of_old = old.see(tensors(tiny, batch, np.zeros(tiny.P), rows=2))
        of_new = new.see(tensors(tiny, batch, np.zeros(tiny.P)))
    torch.testing.assert_close(of_old[:1], of_new)
    assert not torch.allclose(of_old[1:], of_new), "the other goes on"


# --- probabilities of fillings


FORMS = pytest.mark.parametrize("portable", [False, True], ids=["numba", "torch"])


@FORMS
def test_probability_of_a_filling_by_hand(portable: bool) -> None:
    """Three models of 1, 1 and 2 MB at a node of 2 MB: the large one alone, or the small ones in either order."""
    values = load_scenario("tiny").to_dict()
    values["nodes"] = [{**node, "budget": 2.0 if node["name"] == "bs0" else 0.0} for node in values["nodes"]]
    network = Network.compile(parse(values, "tiny"))
    at = np.flatnonzero(network.fits)
    sizes = network.sizes[at]
    orders = Orders(network, portable=portable)
    generator = torch.Generator().manual_seed(1)
    scores = torch.zeros(1, network.P)
    scores[0, at] = torch.linspace(-1.0, 1.0, len(at))
    weight = {int(p): math.exp(float(scores[0, p])) for p in at}

    def enumerate_from(left: list[int], room: float) -> list[tuple[tuple[int, ...], float]]:
        """Every order in which the node can be filled, with its probability."""
        fitting = [p for p in left if network.sizes[p] <= room]
        if not fitting:
            return [((), 1.0)]
        total = sum(weight[p] for p in fitting)
        return [
            ((p, *rest), weight[p] / total * probability)
            for p in fitting
            for rest, probability in enumerate_from([q for q in fitting if q != p], room - float(network.sizes[p]))
        ]

    every = enumerate_from([int(p) for p in at], 2.0)
    assert sum(probability for _, probability in every) == pytest.approx(1.0)
    assert len(every) > 3
    assert len(set(sizes)) > 1
    for order, probability in every:
        allocation, turns = torch.zeros(1, network.P, dtype=torch.int8), torch.zeros(1, network.P, dtype=torch.int16)
        room = 2.0 - np.concatenate(([0.0], np.cumsum(network.sizes[list(order)])))[: len(order)]
        for p in at:
            turns[0, p] = order.index(p) + 1 if p in order else int((network.sizes[p] <= room).sum())
        allocation[0, list(order)] = 1
        found, _ = orders.log_probability(scores, Filling(allocation, turns))
        assert math.exp(float(found)) == pytest.approx(probability, rel=1e-5)
    entropy = -sum(probability * math.log(probability) for _, probability in every)
    drawn = orders.draw(scores.expand(4000, -1), generator)
    logs, entropies = orders.log_probability(scores.expand(4000, -1), drawn)
    deviation = float(logs.std()) / math.sqrt(4000)
    assert abs(-float(logs.mean()) - entropy) < 5.0 * deviation, "drawn with the probabilities that are claimed"
    assert abs(float(entropies.mean()) - entropy) < 5.0 * float(entropies.std()) / math.sqrt(4000) + 1e-5


@FORMS
def test_draws_are_feasible_and_packed_to_the_brim(tiny: Network, portable: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    filling = Orders(tiny, portable=portable).draw(torch.zeros(64, tiny.P), generator)
    used = filling.allocation.numpy() * tiny.sizes
    for v in range(tiny.V):
        at = (tiny.placement_node == v) & tiny.fits
        room = tiny.budgets[v] * (1.0 + 1e-9) - used[:, at].sum(axis=1)
        assert (room >= 0.0).all()
        left_out = np.where(filling.allocation.numpy()[:, at] == 0, tiny.sizes[at], np.inf)
        assert (left_out.min(axis=1, initial=np.inf) > room).all()
    assert len(np.unique(filling.allocation.numpy(), axis=0)) > 5


@FORMS
def test_scores_that_lie_far_apart_leave_nothing_to_chance_and_nothing_overflows(tiny: Network, portable: bool) -> None:
    scores = torch.linspace(-2000.0, 2000.0, tiny.P, dtype=torch.float64)[None].requires_grad_()
    orders = Orders(tiny, portable=portable)
    filling = orders.draw(scores.detach(), torch.Generator().manual_seed(0))
    assert torch.equal(filling.allocation, batched.pack(tiny, scores.detach()))
    log_probability, entropy = orders.log_probability(scores, filling)
    assert log_probability.tolist() == pytest.approx([0.0], abs=1e-6)
    assert entropy.tolist() == pytest.approx([0.0], abs=1e-6)
    (log_probability + entropy).sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


@FORMS
@pytest.mark.parametrize("below", [500.0, 599.0, 705.0, 1e6, math.inf])
def test_a_placement_that_is_all_but_impossible(tiny: Network, portable: bool, below: float) -> None:
    """Three that fit together, one of them far below: it is placed last for certain, the others in either order."""
    v = int(np.flatnonzero(tiny.budgets)[0])
    at = np.flatnonzero((tiny.placement_node == v) & tiny.fits)[:3]
    scores = torch.zeros(1, tiny.P, dtype=torch.float64)
    scores[0, at[0]] = -below
    scores.requires_grad_()
    allocation, turns = torch.zeros(1, tiny.P, dtype=torch.int8), torch.zeros(1, tiny.P, dtype=torch.int16)
    allocation[0, at] = 1
    turns[0, at] = torch.tensor([3, 1, 2], dtype=torch.int16)
    log_probability, entropy = Orders(tiny, portable=portable).log_probability(scores, Filling(allocation, turns))
    assert log_probability.tolist() == pytest.approx([-math.log(2.0)])
    assert entropy.tolist() == pytest.approx([math.log(2.0)])
    log_probability.sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad[0, at].tolist() == pytest.approx([0.0, 0.5, -0.5], abs=1e-9)


def test_arguments_of_another_batch_are_refused(tiny: Network) -> None:
    scores = np.zeros((4, tiny.P), dtype=np.float32)
    allocation = kernels.pack(tiny, scores)
    turns = orders_kernel.turns(tiny, scores, allocation)
    for wrong, name in (
        ((scores[:, :5], allocation, turns), "scores"),
        ((scores, allocation[:1], turns), "allocation"),
        ((scores, allocation, turns[:3]), "turns"),
        ((scores, allocation, turns - 1), "turns"),
        ((scores, allocation, turns + 32000), "turns"),
    ):
        with pytest.raises(IdnError, match=name):
            orders_kernel.order_probability(tiny, *wrong)
    with pytest.raises(IdnError, match="allocation"):
        orders_kernel.turns(tiny, scores, allocation[:1])


@pytest.mark.parametrize("name", ["tiny", "topology-2-sliding"])
def test_both_forms_draw_alike_and_agree_on_probabilities_and_their_slopes(name: str) -> None:
    """The slopes of one are formulas, those of the other what PyTorch makes of the probabilities."""
    network = Network.compile(load_scenario(name))
    forms = [Orders(network, portable=portable) for portable in (False, True)]
    start = 3.0 * torch.randn(6, network.P, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weights = torch.linspace(-1.0, 1.0, 6, dtype=torch.float64)
    drawn, found, slopes = [], [], []
    for orders in forms:
        scores = start.clone().requires_grad_()
        drawn.append(orders.draw(scores.detach(), torch.Generator().manual_seed(0)))
        log_probability, entropy = orders.log_probability(scores, drawn[0])
        (log_probability @ weights + entropy @ weights**2).backward()  # type: ignore[no-untyped-call]
        found.append(torch.stack([log_probability, entropy]).detach())
        slopes.append(scores.grad)
    for one, other in zip(*drawn, strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-9)


# --- training


def test_advantages_by_hand() -> None:
    rewards = torch.tensor([[1.0], [2.0], [4.0]])
    values = torch.tensor([[0.5], [1.0], [2.0], [3.0]])
    # errors 1 + .5*1 - .5 = 1, 2 + .5*2 - 1 = 2, 4 + .5*3 - 2 = 3.5; each plus .5*.8 = .4 of the next advantage
    expected = torch.tensor([[1.0 + 0.4 * 3.4], [2.0 + 0.4 * 3.5], [3.5]])
    torch.testing.assert_close(advantages(rewards, values, 0.5, 0.8), expected)


def trained(steps: int = 960, kind: str = "placement", seed: int = 0, **options: Any) -> tuple[Trainer, list[Any]]:
    scenario = load_scenario("tiny")
    settings = PPO(steps=steps, envs=8, slots=20, rollout=10, **options)
    trainer = Trainer([scenario], make_policy(kind, [scenario], 8, seed), settings, seed)
    return trainer, curve(trainer)


def curve(trainer: Trainer) -> list[Any]:
    return [{key: value for key, value in row.items() if key != "cpu_seconds"} for row in trainer.chapters()]


@pytest.mark.parametrize("kind", ["placement", "flat"])
def test_same_seed_same_curve_and_another_seed_another(kind: str) -> None:
    (first, rows), (second, again), (_, other) = trained(kind=kind), trained(kind=kind), trained(kind=kind, seed=1)
    assert rows == again
    assert rows != other
    for key, value in first.policy.state_dict().items():
        assert torch.equal(value, second.policy.state_dict()[key]), key


def test_resumed_training_gives_the_curve_of_uninterrupted(tmp_path: Path) -> None:
    whole, rows = trained()
    scenario = load_scenario("tiny")
    first = Trainer([scenario], make_policy("placement", [scenario], 8, 0), whole.options, 0)
    begun = [next(chapters) for chapters in [first.chapters()] for _ in range(3)]
    checkpoint.save_tensors(tmp_path / "state.pt", first.state())
    second = Trainer([scenario], make_policy("placement", [scenario], 8, 7), whole.options, 0)
    second.restore(checkpoint.load_tensors(tmp_path / "state.pt"))
    begun = [{key: value for key, value in row.items() if key != "cpu_seconds"} for row in begun]
    assert begun + curve(second) == rows
    for key, value in whole.policy.state_dict().items():
        assert torch.equal(value, second.policy.state_dict()[key]), key


def test_rewards_rise_while_it_learns() -> None:
    """Those of the last chapters lie above those of the first."""
    scenario = load_scenario("topology-2-bursty")
    options = PPO(steps=4_000, envs=16, slots=24, rollout=12, learning_rate=5e-3)
    trainer = Trainer([scenario], make_policy("placement", [scenario], 8, 0), options, 0)
    rewards = [row["reward"] for row in trainer.chapters()]
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 0.5


def test_update_weight_and_rates_change_what_is_trained_on() -> None:
    _, plain = trained(steps=160)
    _, priced = trained(steps=160, update_weight=0.5)
    _, varied = trained(steps=160, rates=4.0)
    assert priced[0]["reward"] < priced[0]["gain_per_request"]
    assert plain[0]["reward"] == pytest.approx(plain[0]["gain_per_request"])
    assert varied[0]["gain_per_request"] != plain[0]["gain_per_request"]


def test_a_flat_policy_for_networks_of_different_sizes_is_refused() -> None:
    with pytest.raises(IdnError, match="sizes"):
        make_policy("flat", [load_scenario("tiny"), load_scenario("topology-2-bursty")], None, 0)
    with pytest.raises(IdnError, match="policy: 'deep'; allowed: placement, flat"):
        make_policy("deep", [load_scenario("tiny")], None, 0)


# --- checkpoints and the agent


@pytest.mark.parametrize("kind", ["placement", "flat"])
def test_a_checkpoint_is_the_policy_that_was_saved(kind: str, tmp_path: Path, tiny: Network) -> None:
    policy = make_policy(kind, [load_scenario("tiny")], 8, 4)
    save_policy(tmp_path, policy, {})
    found = load_policy(tmp_path)
    observation = tensors(tiny, np.array([8.0, 1.0, 4.0, 2.0]), np.zeros(tiny.P))
    scores = [p(view.see(observation), view) for p in (policy, found) for view in [p.view(tiny, 1)]]
    assert torch.equal(scores[0], scores[1])
    assert load_policy(tmp_path / "policy.json").config() == policy.config()


class Payload:
    """What unpickling would call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


@pytest.mark.parametrize("name", ["policy.pt", "state.pt"])
def test_a_malicious_file_is_refused_and_does_not_run(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"actor.0.weight": Payload(mark)}, tmp_path / name)
    torch.load(tmp_path / name, weights_only=False)
    assert mark.exists(), "the file is what it is meant to be"
    mark.unlink()
    with pytest.raises(IdnError, match="more than weights"):
        checkpoint.load_tensors(tmp_path / name)
    if name == "policy.pt":
        save_json(tmp_path)
        with pytest.raises(IdnError, match="more than weights"):
            AgentSpec("ppo", {"path": str(tmp_path)}).make()
    assert not mark.exists()


def save_json(folder: Path) -> None:
    (folder / "other").mkdir()
    save_policy(folder / "other", PlacementPolicy(8), {})
    (folder / "policy.json").write_bytes((folder / "other" / "policy.json").read_bytes())


def test_sb3_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"PK")
    with pytest.raises(IdnError, match="archive"):
        load_policy(tmp_path / "model.zip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format"),
        ({"kind": "tree"}, "kind: 'tree'; allowed: placement, flat"),
        ({"hidden": 10**9}, "hidden"),
        ({"hidden": 9}, "shape"),
        ({"features": ["size"]}, "features"),
    ],
)
def test_a_checkpoint_that_is_none_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_policy(tmp_path, PlacementPolicy(8), {})
    values = json.loads((tmp_path / "policy.json").read_text()) | change
    (tmp_path / "policy.json").write_text(json.dumps(values))
    with pytest.raises(IdnError, match=message):
        load_policy(tmp_path)


def one_line(folder: Path, *texts: str) -> str:
    """What a policy in a folder is refused with."""
    with pytest.raises(IdnError) as caught:
        load_policy(folder)
    says = str(caught.value)
    assert "\n" not in says
    assert len(says.replace(str(folder), "")) <= 300
    for text in texts:
        assert text in says
    return says


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ({}, ("policy.json: format None; must be 'idn-gym/policy-1'",)),
        ({"inputs": 10**7, "hidden": [4096]}, ("a network of 8192", "weights; at most 33554432")),
        ({"outputs": 10**7, "hidden": [4096]}, ("a network of 4", "weights; at most 33554432")),
        ({"hidden": [1] * 10**6}, ("hidden: 1000000 layers; must be a list of 1 to 8",)),
        ({"hidden": [10**400]}, ("hidden: a whole number of about 401 digits",)),
        ({"hidden": "x" * 10**5}, ("hidden: 'xxx",)),
        ({"inputs": True}, ("inputs: True",)),
        ({"inputs": 1e3}, ("inputs: 1000.0",)),
        ({"activation": ["tanh"]}, ("activation: ['tanh']; allowed: tanh, relu",)),
        ({"kind": {}}, ("kind: {}; allowed: placement, flat",)),
        ({"format": "x" * 10**5}, ("format 'xxx",)),
        ({"outputs": 17}, ("policy.pt: actor.2.weight: must be torch.float32 of shape (17, 8)",)),
    ],
)
def test_a_description_of_another_size_is_refused_before_memory_is_taken(
    values: dict[str, Any], texts: tuple[str, ...], tmp_path: Path
) -> None:
    save_policy(tmp_path, FlatPolicy(40, 18, (8,)), {})
    content = json.loads((tmp_path / "policy.json").read_text()) | values if values else {}
    (tmp_path / "policy.json").write_text(json.dumps(content))
    one_line(tmp_path, *texts)


def rewritten(path: Path, method: int, change: Any = lambda name, content: content) -> None:
    """The archive in a file, compressed in another way, with the content of its entries changed."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, change(name, content))


def test_an_archive_that_inflates_is_refused_before_it_does(tmp_path: Path) -> None:
    save_policy(tmp_path, PlacementPolicy(8), {})
    file = tmp_path / "policy.pt"
    torch.save({"embed.weight": torch.zeros(2**24)}, file)
    rewritten(file, zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 2**20
    one_line(tmp_path, "policy.pt", "inflates to 6710")
    torch.save({"embed.weight": torch.zeros(2**24)}, file)
    one_line(tmp_path, "policy.pt: larger than ")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"a": bytearray(9)}, "bytearray'"),
        ({"a": torch.zeros(2, 3).to_sparse()}, "policy.pt"),
        ({"a": torch.zeros(2, device="meta")}, "policy.pt"),
        ({"a": {"b": torch.zeros(2)}}, "not the weights of the network in policy.json"),
        ([1, 2], "not the weights of the network in policy.json"),
    ],
)
def test_what_is_no_plain_tensor_is_refused(values: Any, says: str, tmp_path: Path) -> None:
    save_policy(tmp_path, PlacementPolicy(8), {})
    torch.save(values, tmp_path / "policy.pt")
    one_line(tmp_path, "policy.pt", says)


def test_a_sparse_tensor_of_the_right_shape_is_refused(tmp_path: Path) -> None:
    policy = PlacementPolicy(8)
    save_policy(tmp_path, policy, {})
    weights = policy.state_dict() | {"score.weight": policy.score.weight.detach().to_sparse()}
    torch.save(weights, tmp_path / "policy.pt")
    one_line(tmp_path, "policy.pt", "more than weights")


def test_a_damaged_or_missing_file_of_weights_is_named(tmp_path: Path) -> None:
    policy = PlacementPolicy(8)
    save_policy(tmp_path, policy, {})
    file = tmp_path / "policy.pt"
    good = file.read_bytes()
    start = good.index(policy.own.weight.detach().numpy().tobytes())
    file.write_bytes(good[:start] + bytes([good[start] ^ 1]) + good[start + 1 :])
    one_line(tmp_path, "policy.pt", "is damaged")
    for content in (b"", good[:-10], b"PK", b"\x80\x02}q\x00."):
        file.write_bytes(content)
        one_line(tmp_path, "policy.pt", "not a file of weights")
    file.unlink()
    one_line(tmp_path, "policy.pt: cannot be read")
    file.mkdir()
    one_line(tmp_path, "policy.pt: cannot be read")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, 3, True, [], "nowhere"])
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(IdnError) as caught:
        AgentSpec("ppo", {"path": path}).make()
    assert len(str(caught.value)) <= 300


def test_weights_beyond_use_are_named(tmp_path: Path, tiny: Network) -> None:
    policy = PlacementPolicy(8)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.mul_(1e30)
    save_policy(tmp_path, policy, {})
    with pytest.raises(IdnError, match="scores that are not finite"):
        play(tiny, draw(tiny, 3, 0), AgentSpec("ppo", {"path": str(tmp_path)}), 0)


class TestMangled:
    """However the files of a policy are mangled, they are read as one or refused with an `IdnError` of one line."""

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Of a good policy, whose files stand under other names too."""
        folder = tmp_path_factory.mktemp("policy")
        save_policy(folder, FlatPolicy(40, 18, (3,)), {})
        for name in ("policy.json", "policy.pt"):
            (folder / f"good-{name}").write_bytes((folder / name).read_bytes())
        return folder

    def reads_or_refuses(self, folder: Path, name: str, content: bytes) -> None:
        other = "policy.pt" if name == "policy.json" else "policy.json"
        (folder / other).write_bytes((folder / f"good-{other}").read_bytes())
        (folder / name).write_bytes(content)
        says = ""
        try:
            load_policy(folder)
        except IdnError as error:
            says = str(error)
        assert "\n" not in says

    @given(data=st.data())
    @pytest.mark.parametrize("name", ["policy.json", "policy.pt"])
    def test_bytes_changed(self, name: str, folder: Path, data: st.DataObject) -> None:
        content = (folder / f"good-{name}").read_bytes()
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(content)))
            stop = data.draw(st.integers(start, min(len(content), start + 12)))
            content = content[:start] + data.draw(st.binary(max_size=12)) + content[stop:]
        self.reads_or_refuses(folder, name, content)

    @given(content=st.binary(max_size=60))
    @pytest.mark.parametrize("name", ["policy.json", "policy.pt"])
    def test_any_bytes(self, name: str, folder: Path, content: bytes) -> None:
        self.reads_or_refuses(folder, name, content)

    @given(data=st.data())
    def test_any_json(self, folder: Path, data: st.DataObject) -> None:
        values = json.loads((folder / "good-policy.json").read_text())
        key = data.draw(st.sampled_from(sorted(values)))
        values[key] = data.draw(ANY_JSON)
        self.reads_or_refuses(folder, "policy.json", json.dumps(values).encode())
        self.reads_or_refuses(folder, "policy.json", json.dumps(data.draw(ANY_JSON)).encode())

    @given(data=st.data())
    def test_a_pickle_changed_in_a_whole_archive(self, folder: Path, data: st.DataObject) -> None:
        """What the archive's own checks do not see."""

        def change(name: str, content: bytes) -> bytes:
            if not name.endswith("data.pkl"):
                return content
            start = data.draw(st.integers(0, len(content)))
            stop = data.draw(st.integers(start, min(len(content), start + 4)))
            return content[:start] + data.draw(st.binary(max_size=4)) + content[stop:]

        file = folder / "changed.pt"
        file.write_bytes((folder / "good-policy.pt").read_bytes())
        rewritten(file, zipfile.ZIP_STORED, change)
        self.reads_or_refuses(folder, "policy.pt", file.read_bytes())


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    policy = PlacementPolicy(8)
    with torch.no_grad():
        policy.score.weight.fill_(torch.nan)
    save_policy(tmp_path, policy, {})
    with pytest.raises(IdnError, match=r"score\.weight: holds numbers that are not finite"):
        load_policy(tmp_path)


def test_a_flat_policy_is_refused_on_another_network_and_a_placement_policy_is_not(tmp_path: Path) -> None:
    tiny, other = (Network.compile(load_scenario(name)) for name in ("tiny", "topology-2-bursty"))
    flat = FlatPolicy(FlatView.width(tiny), tiny.P, (8,))
    refuse_other_network(flat, tiny, "x")
    refuse_other_network(PlacementPolicy(8), other, "x")
    with pytest.raises(IdnError, match="x: a placement policy: takes request types that rank their options"):
        refuse_other_network(PlacementPolicy(8), replace(other, service=object()), "x")
    save_policy(tmp_path, flat, {})
    agent = AgentSpec("ppo", {"path": str(tmp_path)}).make()
    with pytest.raises(IdnError, match=r"P = 18 placements.*topology-2-bursty has P = 800"):
        agent.reset(other, 0)


def test_the_shipped_policy_is_small_deterministic_and_better_than_untrained(tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in checkpoint.SHIPPED.iterdir())
    assert size < 2**20
    network = Network.compile(load_scenario("topology-2-bursty"))
    trace = draw(network, 40, 77)
    first, again = (play(network, trace, AgentSpec("ppo"), seed) for seed in (0, 1))
    assert first.summary == again.summary, "no randomness, not even from the agent's seed"
    save_policy(tmp_path, make_policy("placement", [network.scenario], None, 0), {})
    untrained = play(network, trace, AgentSpec("ppo", {"path": str(tmp_path)}), 0)
    assert first.summary.ntag is not None
    assert untrained.summary.ntag is not None
    assert first.summary.ntag > untrained.summary.ntag
