"""Offline data: ``dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from idn_gym.cli.options import AsJson, Overrides, ScenarioName, Slots, print_json
from idn_gym.common.text import printable


def dataset(
    scenario: ScenarioName,
    agent: Annotated[list[str], typer.Option(metavar="AGENT", help="as for run; repeatable, for a mixture")],
    output: Annotated[Path, typer.Option(help="Minari's store of datasets: a folder")],
    episodes: Annotated[int, typer.Option(min=1, max=100_000, help="of each agent")] = 16,
    slots: Slots = None,
    seed: Annotated[int, typer.Option(min=0, help="of the first episode; the next has the next")] = 0,
    name: Annotated[str | None, typer.Option(help="of the dataset; default: idn/SCENARIO-AGENTS-v0")] = None,
    reward: Annotated[str, typer.Option(help="gain or gain_per_request")] = "gain_per_request",
    update_weight: Annotated[float, typer.Option(min=0.0, help="reward lost per MB newly loaded")] = 0.0,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write episodes of agents as a Minari dataset."""
    from idn_gym import datasets
    from idn_gym.experiment.spec import AgentSpec
    from idn_gym.library.load import load_scenario
    from idn_gym.report.progress import PlayProgress

    loaded = load_scenario(scenario, overrides or ())
    specs = [AgentSpec.parse(text) for text in agent]
    name = name or f"idn/{loaded.name}-{'-'.join(spec.folder for spec in specs)}-v0"
    how: dict[str, Any] = {"slots": slots, "seed": seed, "reward": reward, "update_weight": update_weight}
    with PlayProgress() as progress:
        written = datasets.write(loaded, specs, output, name, episodes=episodes, progress=progress, **how)
    if as_json:
        print_json(written)
        return
    for row in written["agents"]:
        print(f"{row['agent']}: {row['episodes']} episodes, mean reward of a slot {row['reward']:.2f}")
    print(f"MINARI_DATASETS_PATH={printable(output)}; minari.load_dataset({written['dataset']!r})")
