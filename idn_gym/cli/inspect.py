"""What there is and whether it holds: ``list``, ``show`` and ``check``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from idn_gym import plugins
from idn_gym.cli.options import AsJson, Overrides, ScenarioName, print_json
from idn_gym.common.text import printable

_UNITS = {"rate": "requests/s", "shift": "tasks", "every": "slots"}  # of a workload's keys


def list_(as_json: AsJson = False) -> None:
    """Packaged scenarios and registered agents."""
    from idn_gym.library.load import load_scenario
    from idn_gym.library.names import SCENARIO_OF_ID
    from idn_gym.model.network import Network
    from idn_gym.report import layout, tables
    from idn_gym.report.console import console

    rows = [(env_id, name, Network.compile(load_scenario(name))) for env_id, name in SCENARIO_OF_ID.items()]
    agents = plugins.names(plugins.AGENTS)
    if as_json:
        scenarios = [
            {"id": env_id, "name": name, **tables.sizes(network), "horizon": network.scenario.horizon}
            for env_id, name, network in rows
        ]
        print_json({"scenarios": scenarios, "agents": agents})
        return
    screen = console()
    screen.print(tables.scenarios(rows))
    screen.print()
    screen.print(layout.Listing(["agents: ", *layout.names(agents)]))


def show(
    scenario: ScenarioName,
    overrides: Overrides = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="the scenario file itself: a start for one's own")] = False,
    as_json: AsJson = False,
) -> None:
    """Sizes, nodes, models, request types and the provenance of every figure."""
    from idn_gym.library.load import load_scenario
    from idn_gym.model.network import Network
    from idn_gym.report import layout, tables
    from idn_gym.report.console import console
    from idn_gym.scenario.file import to_yaml

    loaded = load_scenario(scenario, overrides or ())
    if as_yaml:
        sys.stdout.write(to_yaml(loaded))
        return
    network = Network.compile(loaded)
    if as_json:
        tasks, names = loaded.tasks, network.node_names
        types = [
            {"task": tasks[network.type_task[rho]], "path": [names[v] for v in network.paths[rho] if v >= 0]}
            for rho in range(network.R)
        ]
        document = {"sizes": tables.sizes(network), "request_types": types, "scenario": loaded.to_dict()}
        print_json({"name": loaded.name, **document, "provenance": loaded.provenance})
        return
    screen = console()
    sizes = (f"{axis} = {length:,}" for axis, length in tables.sizes(network).items())
    slots = (f"slots of {loaded.slot_seconds:g} s", f"horizon {loaded.horizon:,} slots")
    screen.print(layout.Listing([f"{loaded.name}: ", *layout.names([*sizes, *slots])]))
    screen.print(layout.Listing(tables.LEGEND), style="dim")
    weight = f"accuracy weight {loaded.accuracy_weight:g} ms per percentage point, "
    workload = loaded.workload.model_dump(exclude_none=True, exclude_defaults=True) if loaded.workload else {}
    about = [f"{key} {value} {_UNITS.get(key, '')}".rstrip() for key, value in {"kind": "none", **workload}.items()]
    screen.print(layout.Listing([*layout.words(weight), *layout.names(["workload: " + about[0], *about[1:]])]))
    shown = [tables.nodes(network), tables.models(loaded), tables.request_types(network)]
    for table in [*shown, tables.provenance(loaded)] if loaded.provenance else shown:
        screen.print()
        screen.print(table)


def check(
    file: Annotated[Path, typer.Argument(help="scenario, trace, capacity or allocation file")],
    scenario: Annotated[str | None, typer.Option(help="the scenario that a trace or allocation is for")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Validate a file; its kind is told by its content."""
    from idn_gym.cli.check import check_file

    kind = check_file(file, scenario, overrides or ())
    if as_json:
        print_json({"ok": True, "kind": kind})
        return
    print(f"{printable(file)}: a valid {kind} file")
