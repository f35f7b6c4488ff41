"""What there is and whether it holds: ``list``, ``show``, ``schema`` and ``check``."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from idn_gym import plugins
from idn_gym.cli.options import AsJson, Overrides, ScenarioName, print_json
from idn_gym.cli.terminal import complain
from idn_gym.common.text import printable
from idn_gym.errors import IdnError

if TYPE_CHECKING:
    from idn_gym.model.heterogeneity import Heterogeneity

# how editors with a YAML language server find the schema, a local copy of it
EDITORS = """\
# yaml-language-server: $schema=./scenario.schema.json
# idn-gym schema scenario > scenario.schema.json makes it: editors then explain and complete the keys
"""


class Kinds(StrEnum):
    """The files that have a JSON Schema."""

    SCENARIO = "scenario"
    SWEEP = "sweep"


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
    heet: Annotated[bool, typer.Option("--heet", help="how heterogeneous its nodes are for its tasks")] = False,
    heet_accuracy: Annotated[
        float | None, typer.Option(min=0.0, max=100.0, help="of the models that --heet counts, at least")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sizes, nodes, models, types; where figures come from."""
    from idn_gym.library.load import load_scenario
    from idn_gym.model.heterogeneity import heterogeneity
    from idn_gym.model.network import Network
    from idn_gym.report import layout, tables
    from idn_gym.report.console import console
    from idn_gym.scenario.file import to_yaml

    if as_yaml and heet:
        raise IdnError("--heet: a measure, which the scenario file of --yaml has no place for; give one of them")
    if heet_accuracy is not None and not heet:
        raise IdnError(f"--heet-accuracy {heet_accuracy:g}: goes with --heet")
    loaded = load_scenario(scenario, overrides or ())
    if as_yaml:
        sys.stdout.write(EDITORS + to_yaml(loaded))
        return
    network = Network.compile(loaded)
    measured = heterogeneity(loaded, heet_accuracy or 0.0) if heet else None
    if as_json:
        asked = "task" if loaded.services is None else "service"
        types = [
            {asked: name, "path": [network.node_names[v] for v in path if v >= 0]}
            for (name, _), path in zip(network.type_names, network.paths, strict=True)
        ]
        document = {"sizes": tables.sizes(network), "request_types": types, "scenario": loaded.to_dict()}
        if measured:
            document["heet"] = _heet(measured)
        print_json({"name": loaded.name, **document, "provenance": loaded.provenance})
        return
    screen = console()
    sizes = (f"{axis} = {length:,}" for axis, length in tables.sizes(network).items())
    slots = (f"slots of {loaded.slot_seconds:g} s", f"horizon {loaded.horizon:,} slots")
    screen.print(layout.Listing([f"{loaded.name}: ", *layout.names([*sizes, *slots])]))
    screen.print(layout.Listing(tables.LEGEND), style="dim")
    weight = f"accuracy weight {loaded.accuracy_weight:g} ms per percentage point, "
    workload = loaded.workload.model_dump(exclude_none=True, exclude_defaults=True) if loaded.workload else {}
    about = [
        f"{key} {_brief(value)} {_UNITS.get(key, '')}".rstrip() for key, value in {"kind": "none", **workload}.items()
    ]
    screen.print(layout.Listing([*layout.words(weight), *layout.names(["workload: " + about[0], *about[1:]])]))
    shown = [tables.nodes(network), tables.models(loaded), tables.request_types(network)]
    shown += [tables.heterogeneity(measured)] if measured else []
    for table in [*shown, tables.provenance(loaded)] if loaded.provenance else shown:
        screen.print()
        screen.print(table)


def check(
    file: Annotated[Path, typer.Argument(help="scenario, sweep, trace, capacity, allocation or record file")],
    scenario: Annotated[str | None, typer.Option(help="the scenario that a trace or allocation is for")] = None,
    overrides: Overrides = None,
    every: Annotated[bool, typer.Option("--all", help="all faults of a scenario or sweep")] = False,
    as_json: AsJson = False,
) -> None:
    """Validate a file; its kind is told by its content. Warnings name what is valid and likely a slip."""
    from idn_gym.cli.check import check_file

    try:
        checked = check_file(file, scenario, overrides or ())
    except IdnError as error:
        if not every:
            raise
        faults = list(error.faults) or [str(error)]
        if as_json:
            print_json({"ok": False, "faults": faults})
        for fault in faults:
            complain(f"{file}: {fault}" if error.faults else fault)
        raise typer.Exit(2) from None
    for warning in checked.warnings:
        complain(f"{file}: warning: {warning}")
    if as_json:
        print_json({"ok": True, "kind": checked.kind, "warnings": list(checked.warnings)})
        return
    print(f"{printable(file)}: a valid {checked.kind} file")


def schema(kind: Annotated[Kinds, typer.Argument(help="kind of file")]) -> None:
    """The JSON Schema of a file. Editors complete and explain its keys by it."""
    from idn_gym.experiment.sweep_file import Grid
    from idn_gym.scenario.graphs.rules import Written
    from idn_gym.scenario.json_schema import json_schema

    document = json_schema(Written if kind is Kinds.SCENARIO else Grid, f"idn_gym {kind.value} file")
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _brief(value: Any) -> str:
    """A value of a workload in a line: of a list of sections how many there are."""
    if not isinstance(value, list | tuple):
        return str(value)
    return f"of {len(value):,} arcs" if isinstance(value[0], dict) else " and ".join(map(str, value))


def _heet(measured: Heterogeneity) -> dict[str, Any]:
    """As JSON values; null where a node has no model of a task."""
    times = {
        task: {node: float(ms) if isfinite(ms) else None for node, ms in zip(measured.nodes, row, strict=True)}
        for task, row in zip(measured.tasks, measured.times, strict=True)
    }
    about = {"accuracy": measured.accuracy, "heet": measured.heet, "per_machine": measured.per_machine}
    without = {"tasks": list(measured.tasks_without), "nodes": list(measured.nodes_without)}
    return {**about, "times_ms": times, "without": without}
