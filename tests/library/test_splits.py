"""Heads and tails from a table of layers: by hand, at the packaged scenario, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from idn_agents.systems.qpart import Qpart, Settings

from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.library.of_splits import quantised_heads
from idn_gym.library.splits import MOBILE_LAYERS, Head, Layer, Machine, split_models
from idn_gym.scenario.schema import Model

LAYERS = (Layer("a", 10.0, 2e6, 4e5, 1.0, 2.0), Layer("b", 30.0, 1e6, 1e3))
MACHINES = {"phone": Machine(5.0, 1.0), "server": Machine(100.0, 0.5, 4)}


def models(*heads: Head, **options: Any) -> dict[str, Any]:
    """Of two layers, by name."""
    found = split_models("cars", LAYERS, 8e5, 70.0, heads, MACHINES, **options)
    return {model["name"]: model for model in found}


def test_by_hand() -> None:
    """At cut 1 2 MB/4 of weights and 4e5 values of 8 bits; noise 1 x 4^-4 + 2 x 4^-8; the tail has 4 MB of floats."""
    made = models(Head("low", (4, 8)))
    head, tail = made["cars/cut1-low"], made["cars/tail1"]
    assert head["output_mb"] == pytest.approx(0.4)
    assert head["accuracy"] == pytest.approx(100.0 - 100.0 * (4.0**-4 + 2.0 * 4.0**-8), abs=1e-4)
    assert head["profiles"]["phone"] == {"size": 2.0, "delay": 3.0, "throughput": 333.33}
    assert head["profiles"]["server"] == {"size": 2.0, "delay": 0.6, "throughput": 6666.67}
    assert (tail["accuracy"], tail["after"], tail["task"]) == (70.0, ["cars/cut1-low"], "cars-tail")
    assert tail["profiles"]["phone"] == {"size": 5.0, "delay": 7.0, "throughput": 142.86}


def test_ends() -> None:
    """Before the first layer the input is sent, behind the last the result; parts without layers take a start."""
    made = models(Head("in", (4,)), Head("out", (32, 32, 32)), input_sensitivity=3.0, working_mb=0.5)
    assert made["cars/cut0-in"]["output_mb"] == pytest.approx(0.4)
    assert made["cars/cut0-in"]["accuracy"] == pytest.approx(100.0 - 300.0 / 256.0, abs=1e-4)
    assert made["cars/cut0-in"]["profiles"]["phone"] == {"size": 0.5, "delay": 1.0, "throughput": 1000.0}
    assert made["cars/tail0"]["profiles"]["phone"]["size"] == pytest.approx(12.5)
    assert made["cars/cut2-out"]["accuracy"] == 100.0
    assert made["cars/cut2-out"]["output_mb"] == pytest.approx(4e-3)
    assert made["cars/tail2"]["profiles"]["server"]["delay"] == 0.5


def test_tails_follow_the_heads_of_their_cut() -> None:
    made = models(Head("x", (2, 3)), Head("x", (3, 3, 3)), Head("y", (9, 3)))
    assert made["cars/tail1"]["after"] == ["cars/cut1-x", "cars/cut1-y"]
    assert made["cars/tail2"]["after"] == ["cars/cut2-x"]
    assert all(Model.model_validate(model) for model in made.values())


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        ([Head("x", ())], r"head 'x': bits \(\); must be 1 to 3 numbers of bits"),
        ([Head("x", (4, 4, 4, 4))], "must be 1 to 3 numbers of bits"),
        ([Head("x", (0, 4))], "1 to 64 each"),
        ([Head("x", (4, 4)), Head("x", (5, 4))], "head 'x': two of cut 1"),
        ([Head("x", (1, 1))], r"bits \(1, 1\) lose 75 points of an accuracy of 70"),
    ],
)
def test_refused(heads: list[Head], says: str) -> None:
    with pytest.raises(IdnError, match=says):
        models(*heads)


def test_the_packaged_bits_are_what_the_system_decides() -> None:
    """Noise by noise and cut by cut; and those of 32 bits lose nothing."""
    noises = {"0.2%": 0.002, "1%": 0.01, "5%": 0.05}
    for head in quantised_heads():
        if head.name != "float":
            assert Qpart(Settings(degradation=noises[head.name])).head(head.name, head.cut) == head
    models_of = {model.name: model for model in load_scenario("quantised-split").models}
    assert len(models_of) == 2 * (4 * 5 + 5)
    for name, budget in noises.items():
        assert 100.0 * (1.0 - budget) <= models_of[f"signs/cut5-{name}"].accuracy < 100.0
    assert models_of["faces/cut7-float"].accuracy == 100.0
    assert models_of["faces/cut7-float"].profiles["phone"].size == pytest.approx(
        1.0 + 4e-6 * sum(layer.weights for layer in MOBILE_LAYERS)
    )
