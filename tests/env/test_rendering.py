"""The image and the text of what each node holds."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from instances import allocation

from idn_gym import IdnError, Network, kernels, load_scenario
from idn_gym.common.colours import contrast
from idn_gym.env import rendering
from idn_gym.env.rendering import arranged, describe, draw
from idn_gym.scenario import parse

pytest.importorskip("matplotlib")

SCENARIOS = ["tiny", "topology-1-fixed", "abilene-sliding", "geant-sliding"]


def compiled(name: str) -> Network:
    return Network.compile(load_scenario(name))


def large(tasks: int = 30, nodes: int = 1000) -> Network:
    """A cloud over ten centres over all other nodes."""
    models = [
        {
            "name": f"{i}/{n}",
            "task": f"{i}",
            "accuracy": 50.0,
            "profiles": {"cpu": {"size": 1.0, "delay": 1.0, "throughput": 1.0}},
        }
        for i in range(tasks)
        for n in range(2)
    ]
    named = [{"name": "cloud", "processor": "cpu", "repository": [f"{i}/0" for i in range(tasks)]}]
    links = []
    for v in range(1, nodes):
        named.append({"name": f"n{v}", "processor": "cpu", "budget": 4.0})
        links.append({"source": "cloud" if v <= 10 else f"n{1 + v % 10}", "target": f"n{v}", "latency": 1.0})
    scenario: dict[str, Any] = {
        "format": "idn-gym/scenario-1",
        "name": "large",
        "tasks": [f"{i}" for i in range(tasks)],
    }
    return Network.compile(parse(scenario | {"models": models, "nodes": named, "links": links}, "large"))


def filled(network: Network, seed: int) -> np.ndarray:
    return kernels.pack(network, np.random.default_rng(seed).random((1, network.P)))[0]


class TestDraw:
    @pytest.mark.parametrize("name", SCENARIOS)
    def test_shape_depends_on_the_network_alone(self, name: str) -> None:
        network = compiled(name)
        served = np.random.default_rng(0).random(network.V) * 1e6
        images = [
            draw(network, np.zeros(network.P, dtype=np.int8), 0, np.zeros(network.V)),
            draw(network, filled(network, 0), 12345, served),
            draw(network, filled(network, 1), 12345, served),
            draw(network, filled(network, 1), 12345, served),
        ]
        height, width, colours = images[0].shape
        assert (height % 16, width % 16, colours) == (0, 0, 3)
        assert width <= 1920
        for image in images:
            assert image.shape == images[0].shape
            assert image.dtype == np.uint8
            assert image.flags.writeable
        assert (images[1] != images[2]).any()  # another allocation
        np.testing.assert_array_equal(images[2], images[3])

    def test_a_slot_later_only_the_text_differs(self) -> None:
        network = compiled("tiny")
        first, second = (draw(network, filled(network, 0), slot, np.ones(4)) for slot in (2, 3))
        assert 0 < (first != second).any(axis=2).sum() < 200

    def test_twice_the_memory_is_twice_the_colour(self) -> None:
        network = compiled("tiny")

        def pixels(held: list[str]) -> int:
            """Of the colour of cars, the first one."""
            image = draw(network, allocation(network, {"co": held}), 1, np.ones(4))
            return int((image == (0x00, 0x72, 0xB2)).all(axis=2).sum())

        legend = pixels([])
        assert legend > 0
        small, medium = pixels(["cars/small"]) - legend, pixels(["cars/medium"]) - legend
        assert pixels(["people/large"]) == legend
        assert medium / small == pytest.approx(2.0, rel=0.2)  # the name written in it takes a part of either

    def test_of_a_thousand_nodes_and_thirty_tasks(self) -> None:
        network = large()
        assert draw(network, filled(network, 0), 1, np.ones(network.V)).shape[1] <= 1920

    def test_of_a_fractional_state(self) -> None:
        network = compiled("tiny")
        draw(network, np.full(network.P, 0.125), 1, np.ones(4))

    @pytest.mark.parametrize("name", [*SCENARIOS, "large"])
    def test_text_is_readable_on_its_ground(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """4.5 to 1 for every text, on whatever box it stands (WCAG 2.2, criterion 1.4.3)."""
        from matplotlib.collections import PolyCollection
        from matplotlib.colors import to_hex

        figures: list[Any] = []
        make = rendering.new_figure
        monkeypatch.setattr(rendering, "new_figure", lambda *a, **k: figures.append(make(*a, **k)) or figures[-1])
        network = large() if name == "large" else compiled(name)
        draw(network, filled(network, 0), 7, np.ones(network.V))
        (axes,) = figures[0].axes
        grounds = []
        for boxes in (c for c in axes.collections if isinstance(c, PolyCollection)):
            faces = boxes.get_facecolor()
            grounds += [(path, faces[n % len(faces)]) for n, path in enumerate(boxes.get_paths()) if len(faces)]
        on_colour = 0
        for text in axes.texts:
            under = [face for path, face in grounds if path.contains_point(text.get_position()) and face[3] == 1.0]
            ground = to_hex(under[-1]) if under else "#ffffff"
            on_colour += ground not in ("#ffffff", "#f4f4f4")
            assert contrast(to_hex(text.get_color()), ground) >= 4.5, (text.get_text(), ground)
        assert on_colour > 2

    def test_names_are_no_formulas(self) -> None:
        values = load_scenario("tiny").to_dict()
        values["nodes"][1]["name"] = values["links"][0]["target"] = "$x"
        values["links"][1]["source"] = values["links"][2]["source"] = "$x"
        values["name"] = "$\\frac \N{CJK UNIFIED IDEOGRAPH-6771}"  # nor are glyphs missed, which is a warning
        network = Network.compile(parse(values, "dollars"))
        draw(network, filled(network, 0), 1, np.ones(4))

    def test_without_matplotlib_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = compiled("tiny")
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(IdnError, match=r'pip install -e "\.\[plots\]"'):
            draw(network, np.zeros(network.P), 0, np.zeros(network.V))


class TestArranged:
    @pytest.mark.parametrize("name", SCENARIOS)
    def test_every_node_once_by_tier(self, name: str) -> None:
        network = compiled(name)
        rows, links = arranged(network)
        assert sorted(v for row in rows for v in row.nodes) == list(range(network.V))
        assert [row.name for row in rows] == [f"tier {tier}" for tier in np.unique(network.tiers)]
        for row in rows:
            assert len(set(network.tiers[row.nodes])) == 1
        assert len(links) == len(network.scenario.links or ())

    def test_children_stand_in_the_order_of_their_parents(self) -> None:
        network = compiled("topology-1-fixed")
        rows, links = arranged(network)
        place = {v: n for row in rows for n, v in enumerate(row.nodes)}
        for row in rows[1:]:
            parents = [
                place[u]
                for v in row.nodes
                for u in links[(links == v).any(axis=1)].ravel()
                if network.tiers[u] < network.tiers[v]
            ]
            assert parents == sorted(parents)

    def test_many_nodes_share_cells_and_many_tiers_rows(self) -> None:
        rows, _ = arranged(large(tasks=1), most_rows=2, most_cells=7)
        assert [row.name for row in rows] == ["tiers 0 to 1", "tier 2"]
        assert [len(row.cells) for row in rows] == [7, 7]
        assert sum(len(row.nodes) for row in rows) == 1000


class TestDescribe:
    def test_by_hand(self) -> None:
        network = compiled("tiny")
        held = {"co": ["cars/small", "people/large"], "bs0": ["people/large"], "bs1": ["cars/large"]}
        text = describe(network, allocation(network, held), 7, np.array([2.0, 5.0, 8.0, 5.0]))
        # sizes: small 1 MB, large 3 of cars and 2 of people; budgets 4 MB at the co, 3 at the base stations
        lines = [line.split() for line in text.splitlines() if line]
        assert text.startswith("tiny after 7 slots, 20 requests in the last one\n")
        by_name = {line[0]: line for line in lines}
        assert by_name["cloud"] == ["cloud", "repository", "0", "models", "serves", "10.0%"]
        assert by_name["co"][1:] == [
            "█" * 15 + "░" * 5, "75%", "2", "models", "serves", "25.0%", "cars/small,", "people/large"
        ]  # fmt: skip
        assert by_name["bs0"][1:] == ["█" * 13 + "░" * 7, "67%", "1", "model", "serves", "40.0%", "people/large"]
        assert by_name["bs1"][1:] == ["█" * 20, "100%", "1", "model", "serves", "25.0%", "cars/large"]
        assert [line for line in text.splitlines() if line.startswith("tier")] == [
            "tier 0, 1 node",
            "tier 1, 1 node",
            "tier 2, 2 nodes",
        ]

    def test_before_the_first_slot(self) -> None:
        network = compiled("tiny")
        text = describe(network, np.zeros(network.P), 0, np.zeros(4))
        assert text.startswith("tiny before the first slot\n")
        assert "%" not in text.replace(" 0%", "")  # nobody has served anything

    def test_a_large_tier_is_summed_up(self) -> None:
        network = large()
        text = describe(network, filled(network, 0), 1, np.ones(network.V))
        lines = text.splitlines()
        assert len(lines) < 40
        assert max(map(len, lines)) < 130
        others = next(line for line in lines if "others" in line)
        # 989 nodes below the centres, of which 8 are named; each holds 4 models of 1 MB in its 4 MB
        assert others.split() == ["981", "others", "█" * 20, "100%", "3,924", "models", "serves", "98.1%"]

    def test_needs_no_matplotlib(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = compiled("tiny")
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        assert "bs1" in describe(network, np.zeros(network.P), 0, np.zeros(4))
