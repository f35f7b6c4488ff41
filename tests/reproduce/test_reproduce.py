"""Reproduction: checks decide rightly where the answer is known, figures run and are drawn, the command reports."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_line import in_process

from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.report.shares import variant_shares
from idn_gym.reproduce import FIGURES, checks, fig2, figure, reproduction
from idn_gym.reproduce.checks import Check, Outcome, Verdict
from idn_gym.reproduce.runs import Budget, Runs, cells_of, last_part
from idn_gym.reproduce.sensitivity import BURSTY, PACKAGED, settings

pytestmark = pytest.mark.commands

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOLDS, FAILS, OPEN = Outcome.HOLDS, Outcome.FAILS, Outcome.OPEN
PNG = b"\x89PNG\r\n\x1a\n"

NOISE = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])  # mean 0; 95% interval of the mean: +- 2.776 x 0.1581 / sqrt(5) = 0.1963
SHARED = np.array([5.0, -3.0, 11.0, 0.0, -7.0])  # what streams have in common, far larger than the differences


class TestChecks:
    @pytest.mark.parametrize(("gap", "outcome"), [(0.2, HOLDS), (0.19, OPEN), (-0.19, OPEN), (-0.2, FAILS)])
    def test_above_is_paired(self, gap: float, outcome: Outcome) -> None:
        """By hand: decided where the difference exceeds 0.1963, however much the streams differ."""
        assert checks.above(SHARED + NOISE + gap, SHARED).outcome is outcome

    def test_margin(self) -> None:
        assert checks.above(SHARED + NOISE + 1.2, SHARED, margin=1.0).outcome is HOLDS
        assert checks.above(SHARED + NOISE + 0.8, SHARED, margin=1.0).outcome is FAILS

    def test_equals_are_not_above(self) -> None:
        assert checks.above(SHARED, SHARED).outcome is FAILS

    def test_fewer_than_five_seeds_decide_nothing(self) -> None:
        assert checks.above(np.full(4, 9.0), np.zeros(4)).outcome is OPEN
        assert checks.rising({1.0: np.zeros(4), 2.0: np.ones(4)}, "ms").outcome is OPEN

    def test_evidence(self) -> None:
        assert checks.above(NOISE + 1.0, np.zeros(5)).evidence == "difference 1 [0.8037, 1.196] ms, 5 seeds"

    @pytest.mark.parametrize(("value", "outcome"), [(10.2, HOLDS), (10.1, OPEN), (9.8, FAILS)])
    def test_limits(self, value: float, outcome: Outcome) -> None:
        assert checks.at_least(NOISE + value, 10.0).outcome is outcome
        assert checks.at_most(NOISE - value, -10.0).outcome is outcome

    def test_rising_and_falling(self) -> None:
        levels = {float(n): SHARED + n + NOISE * n for n in range(4)}  # each step 1 + NOISE
        assert checks.rising(levels, "ms").outcome is HOLDS
        assert checks.falling(levels, "ms").outcome is FAILS
        levels[2.0] = levels[1.0] + NOISE
        assert checks.rising(levels, "ms").outcome is OPEN
        levels[2.0] = levels[1.0] - 1.0
        verdict = checks.rising(levels, "ms")
        assert verdict.outcome is FAILS
        assert "least clear step, 1 to 2: -1 [-1, -1]" in verdict.evidence

    def test_many_steps_ask_for_more(self) -> None:
        """Bonferroni: what decides a single step does not decide one of ten."""
        step = NOISE + 0.25
        assert checks.rising({0.0: np.zeros(5), 1.0: step}, "ms").outcome is HOLDS
        assert checks.rising({float(n): n * step for n in range(11)}, "ms").outcome is OPEN

    def test_everywhere(self) -> None:
        zero = np.zeros(5)  # two parts: t of 4 degrees of freedom at 98.75% is 3.4954, times 0.0707
        both = {"here": (NOISE + 2.0, zero), "there": (NOISE + 1.0, zero)}
        assert checks.above_everywhere(both) == Verdict(
            HOLDS, "least clear at there: difference 1 [0.7528, 1.247] ms, 5 seeds"
        )
        assert checks.above_everywhere({**both, "nowhere": (NOISE - 1.0, zero)}).outcome is FAILS
        assert checks.above_everywhere({**both, "perhaps": (NOISE, zero)}).outcome is OPEN

    def test_crossing(self) -> None:
        levels = {float(n): (SHARED + NOISE + n - 2.5, SHARED) for n in range(6)}
        verdict = checks.crosses(levels)
        assert verdict.outcome is HOLDS
        assert "crosses between 2 and 3" in verdict.evidence
        swapped = {level: (b, a) for level, (a, b) in levels.items()}
        assert checks.crosses(swapped).outcome is FAILS
        never = checks.crosses({level: (a - 9.0, b) for level, (a, b) in levels.items()})
        assert never.outcome is FAILS
        assert "crosses nowhere" in never.evidence

    def test_false_alarms(self) -> None:
        """Of claims without substance one in forty holds (two-sided 95%): within three standard errors over 2,000."""
        generator = np.random.default_rng(0)
        outcomes = [checks.above(generator.normal(size=5), np.zeros(5)).outcome for _ in range(2000)]
        for outcome in (HOLDS, FAILS):
            assert abs(outcomes.count(outcome) / 2000 - 0.025) < 3 * np.sqrt(0.025 * 0.975 / 2000)

    def test_broken(self) -> None:
        """Only what is documented to hold can be broken, and only by not holding."""
        for outcome in Outcome:
            for documented in Outcome:
                check = Check("claim", "expected", Verdict(outcome, ""), documented)
                assert check.broken is (outcome is FAILS and documented is HOLDS)


# Short, with too few seeds to decide anything: the machinery, not the claims.
SHORT = {
    "fig2": Budget(4, 1),
    "fig3": Budget(24, 2),
    "fig4": Budget(10, 2, ("topology-2-sliding",)),
    "fig5": Budget(3, 1),
    "fig6": Budget(36, 2),
    "fig7": Budget(3, 1, ("topology-1-fixed",)),
    "sensitivity": Budget(3, 1, ("topology-2-sliding",)),
    "phase": Budget(3, 1, ("topology-2-sliding",)),
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, reproduction.Reproduction]:
    """Every figure on a short budget."""
    folder = tmp_path_factory.mktemp("short")
    return {name: reproduction.reproduce(name, SHORT[name], folder) for name in FIGURES}


class TestFigures:
    @pytest.mark.parametrize("name", FIGURES)
    def test_runs_and_is_drawn(self, short: dict[str, reproduction.Reproduction], name: str) -> None:
        done = short[name]
        output = done.runs.folder.parent
        assert (output / f"{name}.png").read_bytes().startswith(PNG)
        kept = json.loads((output / f"{name}.json").read_text())
        assert kept == {**done.document(), "seconds": done.seconds}
        assert {check.verdict.outcome for check in done.checks} == {OPEN}, "too few seeds"
        assert len({check.claim for check in done.checks}) == len(done.checks)
        assert {check.source for check in done.checks} <= {"paper", "expected"}
        assert len(done.runs.rows) == sum(len(cell.runs) for cell in done.runs.cells)

    @pytest.mark.parametrize("name", FIGURES)
    def test_budgets(self, name: str) -> None:
        """Claims are decided with five seeds at least; agents in hindsight have no limit on time, which would vary."""
        budgets = figure(name).BUDGETS
        assert set(budgets) == {"smoke", "full"}
        for budget in budgets.values():
            assert budget.seeds >= checks.FEWEST
            cells = figure(name).cells(budget)
            assert {cell.labels["seed"] for cell in cells} == set(range(budget.seeds))
            agents = {str(run.agent) for cell in cells for run in cell.runs}
            assert all("time_limit=null" in agent for agent in agents if agent.startswith("optimum"))

    def test_alphas_are_those_of_the_paper(self) -> None:
        assert figure("fig5").ALPHAS == (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
        assert len(fig2.ALPHAS) == 5
        assert {4, 8, 16} <= set(figure("fig6").PERIODS)

    def test_the_sensitivity_table_is_whole(self, short: dict[str, reproduction.Reproduction]) -> None:
        table = figure("sensitivity").table(short["sensitivity"].runs)
        for setting in settings("topology-2-sliding"):
            assert f"\n| {setting} | " in table
        for agent in figure("sensitivity").VARIANTS:
            assert f"| `{agent}` |" in table

    def test_settings_change_one_thing(self) -> None:
        packaged = load_scenario("topology-2-sliding")
        found = settings("topology-2-sliding")
        assert found[PACKAGED] == packaged
        sections = {
            name: {key for key, value in scenario.to_dict().items() if value != packaged.to_dict()[key]}
            for name, scenario in found.items()
            if name != PACKAGED
        }
        assert all(len(changed) == 1 or changed == {"models", "nodes"} for changed in sections.values()), sections
        assert found[BURSTY].workload.shape == 0.3  # type: ignore[union-attr]
        assert [node.budget for node in found["budgets x 2"].nodes] == [2 * node.budget for node in packaged.nodes]


class TestRuns:
    def test_values_are_in_order_of_seeds(self, short: dict[str, reproduction.Reproduction]) -> None:
        runs = short["fig6"].runs
        for agent in ("infida:refresh=4", "load-aware-greedy"):
            tables = runs.tables(agent)
            ntag = [(table.gain / table.requests).mean() for table in tables]
            np.testing.assert_allclose(runs.values("ntag", agent), ntag, rtol=1e-12)
            np.testing.assert_allclose(runs.gain_per_request(agent).mean(axis=1), ntag, rtol=1e-12)
        assert runs.seeds == [0, 1]
        assert runs.slots == 36

    def test_labels_select(self, short: dict[str, reproduction.Reproduction]) -> None:
        """Latency + alpha x inaccuracy of the slots is their cost, with the alpha of the label."""
        runs = short["fig3"].runs
        for alpha in fig2.ALPHAS:
            [table, _] = runs.tables("infida", accuracy_weight=alpha)
            np.testing.assert_allclose(
                table.latency_ms + alpha * table.inaccuracy, table.cost / table.requests, rtol=1e-9
            )
            assert runs.network(accuracy_weight=alpha).accuracy_weight == alpha

    def test_share_of_the_bound(self, short: dict[str, reproduction.Reproduction]) -> None:
        runs = short["fig4"].runs
        agent = AgentSpec.parse(figure("fig4").OPTIMUM).folder
        infos = [json.loads((runs.folder / s.folder / agent / "result.json").read_text())["info"] for s in runs.cells]
        assert runs.values("static_bound", "infida").tolist() == [info["certified_bound"] for info in infos]
        gains = np.array([info["gain"] / info["certified_bound"] for info in infos])
        np.testing.assert_allclose(runs.of_bound(figure("fig4").OPTIMUM), gains, rtol=1e-9)
        assert (gains <= 1.0).all()

    def test_held_accuracy(self, short: dict[str, reproduction.Reproduction]) -> None:
        """At the start the state is the same fraction of all that fits: the plain mean of the models that do."""
        runs = short["fig2"].runs
        runs = replace(runs, cells=runs.cells[:1], rows=runs.rows[:1])
        network = runs.network()
        found = fig2._by_tier(network, network.fits.astype(float))
        for tier in range(1, 5):
            at = (network.tiers[network.placement_node] == tier) & network.fits
            assert found[tier] == pytest.approx((100.0 - network.inaccuracies[at]).mean(), rel=1e-12)
        assert np.isnan(found[0]), "the cloud has no budget"

    def test_tiers_are_filled(self, short: dict[str, reproduction.Reproduction]) -> None:
        """What the bars of figure 2 add up to: INFIDA's state spends every budget, where that much fits."""
        runs = short["fig2"].runs
        _, shares = variant_shares(runs.network(accuracy_weight=1.0), runs.fractional("infida", accuracy_weight=1.0)[0])
        np.testing.assert_allclose(sum(shares.values()), 1.0, rtol=1e-9)

    def test_last_part(self) -> None:
        np.testing.assert_array_equal(last_part(np.arange(8.0)[None], 0.25), [6.5])


class TestCommand:
    @pytest.fixture
    def stub(self, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        """In place of figure 2, a small one with a claim of known answer."""

        def claims(runs: Runs) -> list[Check]:
            ahead = checks.above(runs.values("ntag", "infida"), runs.values("ntag", "repository-only"))
            behind = checks.above(runs.values("ntag", "repository-only"), runs.values("ntag", "infida"))
            return [Check("ahead", "expected", ahead, HOLDS), Check("behind", "paper", behind, module.documented)]

        def draw(runs: Runs) -> Any:
            from idn_gym.reproduce.drawing import panels

            return panels(1, ["empty"])[0]

        module = SimpleNamespace(
            TITLE="A stub",
            BUDGETS={"smoke": Budget(5), "full": Budget(6)},
            cells=lambda budget: cells_of("tiny", ["infida", "repository-only"], budget),
            claims=claims,
            draw=draw,
            documented=FAILS,
        )
        monkeypatch.setattr(reproduction, "figure", lambda name: module)
        monkeypatch.setattr("idn_gym.reproduce.report.figure", lambda name: module)
        return module

    def test_json(self, stub: SimpleNamespace) -> None:
        """Twice, the same."""
        first, again = (
            in_process("reproduce", "fig2", "--budget", "smoke", "--workers", 1, "--json") for _ in range(2)
        )
        assert first.status == 0, first.stderr
        assert first.stdout == again.stdout
        document = json.loads(first.stdout)
        assert document["budget"] == "smoke"
        [one] = document["figures"]
        assert (one["figure"], one["slots"], one["seeds"], one["runs"]) == ("fig2", 5, [0, 1, 2, 3, 4], 10)
        assert [check["outcome"] for check in one["checks"]] == ["holds", "does not hold"]

    def test_check(self, stub: SimpleNamespace) -> None:
        """A claim that is documented to hold and does not is an error, but only if asked."""
        command = ("reproduce", "fig2", "--budget", "smoke", "--workers", 1)
        assert in_process(*command, "--check").status == 0
        stub.documented = HOLDS
        assert in_process(*command).status == 0
        broken = in_process(*command, "--check")
        assert broken.status == 1
        assert broken.stderr.splitlines()[-1].startswith(
            "idn-gym: documented to hold, and does not: behind: difference -"
        )

    def test_output_and_report(self, stub: SimpleNamespace, tmp_path: Path) -> None:
        page = tmp_path / "docs" / "page.md"
        page.parent.mkdir()
        command = ("reproduce", "fig2", "--budget", "full", "--workers", 1, "--output", tmp_path / "out")
        assert in_process(*command, "--report", page).status == 0
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"fig2", "fig2.json", "fig2.png"}
        text = page.read_text()
        assert "| ahead | expected | **holds** | difference" in text
        assert "| behind | paper | **does not hold** | difference" in text
        assert "idn-gym reproduce fig2 --budget full" in text
        assert "6 seeds" not in text
        assert (page.parent / "page" / "fig2.png").read_bytes().startswith(PNG)
        assert (page.parent / "page" / "fig2.csv").read_bytes() == (
            tmp_path / "out" / "fig2" / "table.csv"
        ).read_bytes()
        stub.documented = HOLDS
        again = in_process(*command, "--resume", "--report", page)
        assert again.status == 0, again.stderr
        assert "**does not hold** (documented: holds)" in page.read_text()
        [line] = [line for line in text.splitlines() if line.startswith("| [fig2]")]
        assert line in page.read_text(), "what is complete keeps its time"
        (tmp_path / "out" / "fig2" / "table.csv").unlink()
        assert in_process(*command, "--resume", "--report", page).status == 0
        assert "| resumed |" in page.read_text(), "what was interrupted has none"

    def test_another_budget_in_the_same_folder(self, stub: SimpleNamespace, tmp_path: Path) -> None:
        command = ("reproduce", "fig2", "--workers", 1, "--output", tmp_path / "out")
        assert in_process(*command, "--budget", "smoke").status == 0
        outcome = in_process(*command, "--budget", "full", "--resume")
        assert outcome.status == 2
        assert "holds another sweep" in outcome.stderr

    @pytest.mark.parametrize("names", [["fig1"], ["fig2", "fig2"], ["all", "fig2"]])
    def test_names(self, names: list[str]) -> None:
        outcome = in_process("reproduce", *names)
        assert outcome.status == 2
        assert f"allowed: {', '.join(FIGURES)}" in outcome.stderr


@pytest.mark.skipif(not (DOCS / "reproduction.md").exists(), reason="not generated yet")
class TestPage:
    """``docs/reproduction.md`` is what the command wrote at full budget, and says what the code takes as documented."""

    def test_it_is_whole(self) -> None:
        text = (DOCS / "reproduction.md").read_text()
        assert "Written by: idn-gym reproduce all --budget full" in text
        assert "(documented:" not in text, "outcomes differ from those in the code; change them, and generate it again"
        for name in FIGURES:
            assert f"## {name}\n" in text
            assert (DOCS / "reproduction" / f"{name}.png").read_bytes().startswith(PNG)
            assert (DOCS / "reproduction" / f"{name}.csv").exists()
        stored = sum(path.stat().st_size for path in (DOCS / "reproduction").iterdir())
        assert stored < 2e6

    @pytest.mark.parametrize("name", FIGURES)
    def test_claims_are_those_of_the_code(self, short: dict[str, reproduction.Reproduction], name: str) -> None:
        text = (DOCS / "reproduction.md").read_text()
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        listed = dict(re.findall(r"^\| (.+?) \| (?:paper|expected) \| \*\*(.+?)\*\*", section, flags=re.MULTILINE))
        for check in short[name].checks:  # a short budget has some of the scenarios, and leaves open what takes time
            assert listed[check.claim] == check.documented.value or check.documented is OPEN
