"""Agents with parameters as text and as folders, and what a run is asked for."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import in_process, install_agents
from hypothesis import example, given
from hypothesis import strategies as st

from idn_gym.errors import IdnError
from idn_gym.experiment import run, sweep
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec, refuse_network
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

AGENTS = """
from idn_gym.errors import IdnError
class Small:
    def __init__(self, nodes=4): self.most = nodes
    def accepts(self, network):
        if network.V > self.most: raise IdnError(f"takes {self.most} nodes at most, not {network.V}")
    def reset(self, network, seed): self.P = network.P
    def act(self, observation): return [0] * self.P
    def info(self): return {}
"""
KEYS = st.text("abcdefgh_", min_size=1, max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)


class TestText:
    @given(st.dictionaries(KEYS, SCALARS | st.lists(SCALARS.filter(lambda value: value not in (math.inf, -math.inf)))))
    @example({"a": None, "b": "None", "c": "null", "d": True, "e": "true", "f": "True"})
    @example({"a": "1,b=2", "b": "x=y:z", "c": '"', "d": "'quoted', twice", "e": "it's", "f": "", "g": " "})
    @example({"a": 1, "b": 1.0, "c": "1", "d": "1e3", "e": 1e16, "f": -0.0, "g": math.inf, "h": "inf"})
    @example({"a": [1, "x,y", None], "b": "[1, 2]", "c": "{a: 1}", "d": "# none", "e": "a\nb\u2028\x00\udc80"})
    def test_reads_back(self, parameters: dict[str, Any]) -> None:
        """To an equal agent, value by value of the same kind, and so to the same folder."""
        spec = AgentSpec("agent", parameters)
        again = AgentSpec.parse(str(spec))
        assert again == spec
        assert [type(value) for value in again.parameters.values()] == [type(value) for value in parameters.values()]
        assert again.folder == spec.folder

    @pytest.mark.parametrize(
        ("typed", "parameters"),
        [
            ("infida", {}),
            ("infida:", {}),
            ("infida:refresh=8,learning_rate=theory", {"refresh": 8, "learning_rate": "theory"}),
            ("ppo:path=runs/a=b:c", {"path": "runs/a=b:c"}),
            ("ppo:path='runs/it''s, mine',", {"path": "runs/it's, mine"}),
            ('ppo:path="a\\x41,b",x=~', {"path": "aA,b", "x": None}),
            ("optimum:gap=.5,time_limit=null", {"gap": 0.5, "time_limit": None}),
            ("a:x=[1]", {"x": [1]}),
            ('a:x=[1, "b,c"],y=2', {"x": [1, "b,c"], "y": 2}),
        ],
    )
    def test_parse(self, typed: str, parameters: dict[str, Any]) -> None:
        assert AgentSpec.parse(typed).parameters == parameters

    @pytest.mark.parametrize(
        "typed", ["a:x y", "a:=1", "a:x=1,x=2", "a:x=1,y", 'a:x="open', "a:x={", "a:x=[NaN]", "a:x=*b"]
    )
    def test_refused(self, typed: str) -> None:
        with pytest.raises(IdnError, match="agent 'a:"):
            AgentSpec.parse(typed)

    @pytest.mark.parametrize(
        ("typed", "folder"),
        [
            ("infida", "infida"),
            ("random:refresh=2", "random-refresh-2-bbd0d5d2"),
            ("optimum:gap=0.01,time_limit=null", "optimum-gap-0.01-time-limit-None-80f84ae6"),
            ("x:on=true,path=a/b", "x-on-True-path-a-b-17185725"),
        ],
    )
    def test_folders_keep_their_names(self, typed: str, folder: str) -> None:
        assert AgentSpec.parse(typed).folder == folder

    def test_null_and_its_name_are_two_agents(self) -> None:
        """Each is what it was typed as, when it is told on from its row of the table."""
        row = in_process("run", "tiny", "--agent", "optimum:time_limit=null", "--slots", 2, "--json")
        assert '"agent": "optimum:time_limit=null"' in row.stdout
        refused = in_process("run", "tiny", "--agent", "optimum:time_limit=None", "--slots", 2)
        assert (refused.status, refused.stdout) == (2, "")
        assert "time_limit" in refused.stderr


class TestRunSpec:
    @pytest.mark.parametrize("slots", [0, -1, 1.5, True, "3", np.float64(4.0)])
    def test_slots_that_are_none(self, slots: Any) -> None:
        """No slots are not the whole horizon."""
        with pytest.raises(IdnError, match=r"slots: .*; must be a whole number >= 1"):
            RunSpec(load_scenario("tiny"), AgentSpec("random"), slots=slots)

    @pytest.mark.parametrize("seed", [-1, 0.5, None, False])
    def test_seeds_that_are_none(self, seed: Any) -> None:
        with pytest.raises(IdnError, match=r"seed: .*; must be a whole number >= 0"):
            RunSpec(load_scenario("tiny"), AgentSpec("random"), seed=seed)

    def test_numbers_of_numpy(self) -> None:
        spec = RunSpec(load_scenario("tiny"), AgentSpec("random"), seed=np.int64(3), slots=np.int32(7))
        assert (spec.seed, spec.slots, type(spec.seed), type(spec.slots)) == (3, 7, int, int)
        assert spec.stream()[1].slots == 7


class TestAccepts:
    """An agent may say what it takes; what it does not take is refused before anything is played or written."""

    SAYS = r"^agent small:nodes=2: takes 2 nodes at most, not 4$"

    @pytest.fixture(autouse=True)
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An agent of somebody else's, which takes the four nodes of ``tiny`` unless it is told otherwise."""
        points = "[idn_gym.agents]\nsmall = theirs:Small\n"
        monkeypatch.delitem(sys.modules, "theirs", raising=False)
        monkeypatch.syspath_prepend(str(install_agents(tmp_path / "plugins", AGENTS, points)))

    def specs(self, *agents: str, seed: int = 0) -> tuple[RunSpec, ...]:
        scenario = load_scenario("tiny")
        return tuple(RunSpec(scenario, AgentSpec.parse(agent), seed=seed, slots=3) for agent in agents)

    def test_play(self) -> None:
        network = Network.compile(load_scenario("tiny"))
        with pytest.raises(IdnError, match=self.SAYS):
            play(network, draw(network, 3, 0), AgentSpec("small", {"nodes": 2}), 0)
        assert play(network, draw(network, 3, 0), AgentSpec("small"), 0).summary.gain == 0.0

    def test_run(self, tmp_path: Path) -> None:
        played: list[str] = []
        with pytest.raises(IdnError, match=self.SAYS):
            run(
                self.specs("random", "small:nodes=2"),
                tmp_path / "run",
                progress=lambda agent, slot, slots: played.append(agent),
            )
        assert not played
        assert not (tmp_path / "run").exists()
        run(self.specs("random", "small"), tmp_path / "run")

    def test_sweep(self, tmp_path: Path) -> None:
        cells = [sweep.Cell({"seed": seed}, self.specs("random", "small", seed=seed)) for seed in range(2)]
        odd = sweep.Cell({"seed": 2}, self.specs("random", "small:nodes=2", seed=2))
        with pytest.raises(IdnError, match=self.SAYS):
            sweep.run([*cells, odd], tmp_path / "sweep")
        assert not (tmp_path / "sweep").exists()
        assert len(sweep.run(cells, tmp_path / "sweep")) == 4

    def test_its_own_name_is_not_said_twice(self) -> None:
        network = Network.compile(load_scenario("tiny"))

        class Named:
            def accepts(self, network: Network) -> None:
                raise IdnError("small: takes none")

        with pytest.raises(IdnError, match=r"^agent small:nodes=9: takes none$"):
            refuse_network(AgentSpec("small", {"nodes": 9}), Named(), network)
