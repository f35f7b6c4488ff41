"""Every parameter of every agent, and every option of the commands that agents bring, at values that nobody means."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import in_process
from idn_agents.baselines import Random
from idn_agents.infida.infida import Infida
from idn_agents.search.forecast import LONGEST, Window

from idn_gym import plugins
from idn_gym.common import parameters
from idn_gym.errors import IdnError
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

AGENTS = plugins.names(plugins.AGENTS)
ABSURD = (math.nan, math.inf, -1, 0, 1e308, 10**400, "x", None, True, [], {})
SEEDS = (-1, 2**64, 10**400, 1.5, True, None, "x")


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


@pytest.fixture(scope="module")
def three(tiny: Network) -> Trace:
    return draw(tiny, 3, 1)


def plays_or_is_refused(network: Network, trace: Trace, spec: AgentSpec, seed: Any = 0) -> str | None:
    """What an agent is refused with, in a line; None if it plays, to finite results that are feasible."""
    try:
        result = play(network, trace, spec, seed)
    except IdnError as error:
        says = str(error)
        assert len(says) <= 300, f"{says[:100]}..."
        assert "\n" not in says
        assert "slot" not in says.partition(":")[0], f"refused in the middle of its run: {says}"
        return says
    assert all(value is None or math.isfinite(value) for value in asdict(result.summary).values()), spec.parameters
    assert result.fractional is None or np.isfinite(result.fractional).all()
    json.dumps(result.info, allow_nan=False)
    return None


@pytest.mark.parametrize("name", AGENTS)
def test_an_absurd_value_is_refused_in_a_line_or_played(name: str, tiny: Network, three: Trace) -> None:
    taken = inspect.signature(plugins.load(plugins.AGENTS, name)).parameters
    for parameter in taken:
        for value in ABSURD:
            says = plays_or_is_refused(tiny, three, AgentSpec(name, {parameter: value}))
            if says and "only with rounding" in says:
                coordinated = {"rounding": "coordinated", parameter: value}
                says = plays_or_is_refused(tiny, three, AgentSpec(name, coordinated))
            nothing_means_it = value is True or value in ([], {}) or value == 10**400 or value != value
            assert says or not nothing_means_it, f"{parameter}={value!r} is taken"


@pytest.mark.parametrize("name", AGENTS)
def test_a_seed_that_is_none_is_refused_in_a_line_or_not_used(name: str, tiny: Network, three: Trace) -> None:
    if (says := plays_or_is_refused(tiny, three, AgentSpec(name))) is not None and "is not of that shape" in says:
        pytest.skip(says)  # of a system that has networks of its own
    for seed in SEEDS:
        says = plays_or_is_refused(tiny, three, AgentSpec(name), seed)
        assert says is None or says.startswith("seed: ")
    assert plays_or_is_refused(tiny, three, AgentSpec(name), 2**64 - 1) is None


@pytest.mark.parametrize(
    "text",
    [
        "infida:learning_rate=1e15",
        "infida:learning_rate=1e12,residual=reserve",
        "infida:scale=1e6",
        "infida-coordinated:learning_rate=1e15,bonus=1e9",
        "infida-coordinated:update_weight=1e15,window=100000",
        "infida-distributed:learning_rate=1e15",
        "infida-distributed:delay=100000",
        "infida-offline:scale=1e6,iterations=60",
        "last-batch-greedy:keep=1e6,average=0.9999999999999999",
        "load-aware-greedy:decay=0.9999999999999999",
        "random:refresh=1000000000",
    ],
)
def test_what_is_allowed_at_most_is_feasible_and_finite(text: str, tiny: Network) -> None:
    """Large steps as well: with 1e15 the state no longer kept its node's mass, and the run ended over a budget."""
    assert plays_or_is_refused(tiny, draw(tiny, 60, 2), AgentSpec.parse(text)) is None


def test_numbers_of_numpy_are_numbers() -> None:
    agent = Infida(learning_rate=np.float32(0.5), refresh=np.int64(3))
    assert (agent.rate, agent.first_period) == (0.5, 3)
    assert type(agent.first_period) is int
    with pytest.raises(IdnError, match="refresh"):
        Random(refresh=np.bool_(True))


def test_a_window_takes_memory_for_what_it_has_seen(tiny: Network) -> None:
    window = Window(tiny.R, LONGEST)
    for slot in range(3):
        window.see(np.full(tiny.R, float(slot)))
    assert [each[0] for each in window.last(LONGEST)] == [0.0, 1.0, 2.0]


class Unprintable:
    """Its text has a line break, and no end."""

    def __repr__(self) -> str:
        return "a\nb" * 10_000


NONE_OF_THEM = [*ABSURD, 10**5000, -(10**5000), "long" * 1000, b"x" * 1000, Unprintable(), {"a": {}}]


@pytest.mark.parametrize("value", NONE_OF_THEM, ids=lambda value: type(value).__name__)
def test_a_message_is_one_short_line_whatever_the_value(value: Any) -> None:
    for refuse in (
        lambda: parameters.whole("n", value, 2, 3),
        lambda: parameters.real("n", value, 2.0, 3.0),
        lambda: parameters.one_of("n", value, ("this", "that")),
        lambda: parameters.seed(value, -2),
    ):
        with pytest.raises(IdnError) as caught:
            refuse()
        says = str(caught.value)
        assert len(says) < 200
        assert "\n" not in says


@pytest.mark.parametrize(
    ("check", "value", "says"),
    [
        (
            lambda v: parameters.real("share", v, highest=1.0, below=True),
            1,
            "share: 1; must be a number in [0, 1], less",
        ),
        (lambda v: parameters.real("rate", v, 2.0, 50.0), 1.5, "rate: 1.5; must be a number >= 2, at most 50"),
        (lambda v: parameters.whole("n", v, 0, 7), 8, "n: 8; must be a whole number >= 0, at most 7"),
        (lambda v: parameters.whole("n", v, words=("auto",)), "car", "n: 'car'; must be 'auto' or a whole number >= 1"),
        (lambda v: parameters.whole("n", v), 10**99, "n: a whole number of about 100 digits; must be"),
        (lambda v: parameters.one_of("word", v, ("a", "b")), ["a"], "word: ['a']; allowed: a, b"),
    ],
)
def test_what_is_allowed_is_said(check: Any, value: Any, says: str) -> None:
    with pytest.raises(IdnError) as caught:
        check(value)
    assert str(caught.value).startswith(says)


# --- options of commands

DIGITS = "1" + "0" * 400
FLOATS = ("nan", "-1", "1e308")
OPTIONS = [
    *(("optimum", "--gap", value) for value in FLOATS),
    *(("optimum", "--time-limit", value) for value in FLOATS),
    *(("optimum", "--leaves", value) for value in ("0", "-3", DIGITS)),
    *(("optimum", "--seed", value) for value in (str(2**64), DIGITS)),
    *(("saa", option, value) for option in ("--gap", "--time-limit", "--confidence") for value in FLOATS),
    *(("saa", option, value) for option in ("--streams", "--replications") for value in ("0", "10000000", DIGITS)),
    *(("saa", "--seed", value) for value in (str(2**64), DIGITS)),
    *(("train", option, value) for option in ("--learning-rate", "--discount") for value in (*FLOATS, "1e30")),
    *(("train", option, value) for option in ("--update-weight", "--rates") for value in (*FLOATS, "1e300")),
    *(("train", option, value) for option in ("--steps", "--envs", "--slots", "--hidden") for value in ("0", DIGITS)),
    *(("train", "--seed", value) for value in ("-1", str(2**64), DIGITS)),
]
OTHERS = [
    ("--algo a2c --learning-rate 1e30", "--learning-rate: 1e+30"),
    ("--algo sac --update-weight nan", "--update-weight: nan"),
    ("--algo ppo --seed 4294967296", "--seed: 4294967296; must be a whole number >= 0, at most 4294967295"),
    ("--algo maskable-ppo --hidden 5000", "--hidden: 5000"),
    ("--device meta", "--device: 'meta'"),
    ("--policy flat --hidden 4096 --set replicas=1000", "--hidden: 4096: a network of "),
    ("--envs 65536 --set replicas=1000", "--envs: 65536, of which "),
    ("--algo a2c --envs 65536 --set replicas=1000", "--envs: 65536, of which "),
    ("--rates 1000 --set workload.rate=1e11", "--rates: 1000; "),
    ("--rates 2 --also adversary", "--rates: 2; scenario adversary has no rate"),
]


@pytest.mark.parametrize(("command", "option", "value"), OPTIONS, ids=lambda text: text[:12])
def test_an_option_out_of_range_is_one_line_before_anything_runs(
    command: str, option: str, value: str, tmp_path: Path
) -> None:
    if command == "train":
        pytest.importorskip("torch")
    folder = tmp_path / "new"
    output = ("--output", folder) if command == "train" else ()
    outcome = in_process(command, "tiny", option, value, *output)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"idn-gym: {option}: ")
    assert outcome.stderr.count("\n") == 1
    assert len(outcome.stderr) <= 300
    assert not folder.exists()


@pytest.mark.parametrize(("arguments", "says"), OTHERS)
def test_training_that_cannot_be_is_one_line_and_leaves_nothing(arguments: str, says: str, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    folder = tmp_path / "new"
    outcome = in_process("train", "tiny", "--steps", 40, *arguments.split(), "--output", folder)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert says in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not folder.exists()
