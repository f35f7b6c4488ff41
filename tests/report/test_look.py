"""Agents look alike in all pictures and apart within one, also for readers who see no green or no red."""

from __future__ import annotations

import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from idn_gym.common.colours import FAINT, INK, WHITE, contrast, readable, text_on
from idn_gym.common.figures import MUTED, PALETTE
from idn_gym.report.look import DASHED, look, looks

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
AGENTS = PROJECT["entry-points"]["idn_gym.agents"]
REGISTERED = list(AGENTS)
# agents of systems take networks of their own shape, so that no two of them are in one picture
SYSTEMS = [name for name, where in AGENTS.items() if ".systems." in where]
TOGETHER = [[name for name in REGISTERED if name not in SYSTEMS or name == system] for system in SYSTEMS]
COLOURS = 10  # that are apart for all readers; what is registered beyond them shares one

# What is seen of linear RGB without one kind of cones: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, severity 1.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
APART = 15.0  # CIEDE2000; 2.3 is just noticeable (M. Mahy et al. 1994), thin lines and small marks need some times that


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIELAB of a colour under D65, as it is seen."""
    srgb = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(seen @ linear, 0.0, 1.0) / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """CIEDE2000, after G. Sharma, W. Wu, E. N. Dalal, Color Research & Application 30(1), 2005."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    c1, c2 = np.hypot(g * a1, b1), np.hypot(g * a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, g * a1)) % 360, np.degrees(np.arctan2(b2, g * a2)) % 360
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    hue = h1 + h2 if c1 * c2 == 0 else h1 + turn / 2
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    cosines = [np.cos(np.radians(angle)) for angle in (hue - 30, 2 * hue, 3 * hue + 6, 4 * hue - 63)]
    t = 1 + np.dot(cosines, (-0.17, 0.24, 0.32, -0.20))
    sl = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rc = 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rt = -rc * np.sin(np.radians(60 * np.exp(-(((hue % 360 - 275) / 25) ** 2))))
    return float(np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * dc / sc * dh / sh))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # of the test data published with the paper
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_distance(one: tuple[float, ...], other: tuple[float, ...], expected: float) -> None:
    assert distance(np.array(one), np.array(other)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("agents", TOGETHER, ids=SYSTEMS)
@pytest.mark.parametrize("seen", SEEN)
def test_registered_agents_are_told_apart(seen: str, agents: list[str]) -> None:
    """By colour; agents of one colour, or of two that look alike, by marker and line as well."""
    found = looks(agents)
    near = []
    for (a, one), (b, other) in combinations(found.items(), 2):
        if distance(lab(one.colour, SEEN[seen]), lab(other.colour, SEEN[seen])) < APART:
            near.append({a, b})
            assert one.marker != other.marker, (a, b)
            assert one.line != other.line, (a, b)
    assert {"optimum", "infida"} not in near
    yardsticks = {"optimum", "dynamic-optimum", "law-aware"}  # in ink
    near = [pair for pair in near if not pair <= yardsticks]
    beyond = len(agents) - len(yardsticks) + 1 - COLOURS
    assert len(near) <= beyond, "a newly registered agent? give it a look of its own in idn_gym/report/look.py"


@pytest.mark.parametrize("agents", TOGETHER, ids=SYSTEMS)
def test_agents_have_markers_of_their_own(agents: list[str]) -> None:
    """Whoever sees no colours at all can tell those of a picture apart."""
    assert len({of.marker for of in looks(agents).values()}) == len(agents)


def test_every_registered_agent_has_a_look_that_nobody_takes() -> None:
    found = looks(REGISTERED)
    strangers = looks([f"mine-{n}" for n in range(200)] + [f"{name}:x={n}" for name in REGISTERED for n in range(40)])
    assert not set(found.values()) & set(strangers.values())


def test_one_look_in_every_picture() -> None:
    """Whoever is beside a known agent; and of others with whatever known ones, in whatever order."""
    strangers = ("mine.py:Always", "package.module:Class:x=1", "infida:refresh=8")
    alone = {agent: look(agent) for agent in [*REGISTERED, *strangers]}
    crowd = looks([*alone][::-1])
    assert {agent: crowd[agent] for agent in REGISTERED} == {agent: alone[agent] for agent in REGISTERED}
    for stranger in strangers:
        assert looks([*REGISTERED, stranger])[stranger] == alone[stranger]
    for beside in ("infida:refresh=4", "infida:learning_rate=theory", "optimum:gap=0.1", "other.py:Never"):
        assert looks(["infida:refresh=8", beside])["infida:refresh=8"] == alone["infida:refresh=8"]
    assert look("/home/me/mine.py:Always") == look("mine.py:Always") == look(r"C\mine.py:Always")


@pytest.mark.parametrize("count", [9, 24])
def test_many_agents_stay_apart(count: int) -> None:
    """As points, which have no lines."""
    for agents in (
        [f"mine-{n}" for n in range(count)],
        [f"infida:refresh={n}" for n in range(count)],
        [f"optimum:gap={n}" for n in range(count)],
        [*REGISTERED, *(f"file.py:Agent{n}" for n in range(count))],
    ):
        found = looks(agents)
        assert len({of.point for of in found.values()}) == len(agents)


def test_parameters_keep_the_hue() -> None:
    found = looks(["infida", "infida:refresh=4", "infida:refresh=8", "infida:learning_rate=theory"])
    hues = []
    for of in found.values():
        red, green, blue = (int(of.colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
        hues.append(np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)))
    np.testing.assert_allclose(hues, hues[0], atol=1.5)  # of rounding to 1/255
    assert len({of.marker for of in found.values()}) == len(found)


def test_a_class_is_part_of_the_name() -> None:
    """Two agents of one file are two; parameters are what has a key."""
    both = looks(["mine.py:One", "mine.py:Two", "mine.py:One:level=1"])
    assert (
        both["mine.py:One"].colour != both["mine.py:Two"].colour
        or both["mine.py:One"].marker != both["mine.py:Two"].marker
    )
    assert len({of.point for of in both.values()}) == 3


def test_dashes_are_for_hindsight() -> None:
    hindsight = {"infida-offline", "static-greedy", "optimum"}
    for agent, of in looks(REGISTERED).items():
        assert (of.line == DASHED) == (agent in hindsight) or agent in ("dynamic-optimum", "law-aware"), agent
    assert look("mine").drawn(hindsight=True) == DASHED
    assert look("mine").drawn(hindsight=False) == look("mine").line


class TestContrast:
    def test_by_hand(self) -> None:
        """WCAG: black on white is 21; #767676 is the lightest grey that is readable on white, at 4.54."""
        assert contrast("#000000", WHITE) == pytest.approx(21.0)
        assert contrast("#767676", WHITE) == pytest.approx(4.54, abs=0.005)
        assert contrast(WHITE, "#777777") == pytest.approx(4.48, abs=0.005)
        assert contrast((1.0, 0.0, 0.0), WHITE) == pytest.approx(4.0, abs=0.005)

    def test_of_all_text_on_white(self) -> None:
        agents = [*REGISTERED, *(f"mine-{n}" for n in range(60)), *(f"random:x={n}" for n in range(40))]
        for agent, of in looks(agents).items():
            assert contrast(of.ink, WHITE) >= 4.5, agent
            assert contrast(of.colour, WHITE) >= 3.0, agent  # of marks: WCAG 2.2, 1.4.11
        for colour in (INK, MUTED, *(readable(colour) for colour in PALETTE), readable(FAINT)):
            assert contrast(colour, WHITE) >= 4.5

    def test_of_text_on_any_ground(self) -> None:
        """The square root of 21 is above 4.5: black or white is readable on whatever there is."""
        generator = np.random.default_rng(0)
        for ground in generator.random((2000, 3)):
            assert contrast(text_on(ground), ground) >= 4.5
