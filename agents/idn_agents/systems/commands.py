"""``idn-gym system``: what the systems are, and how they decide, run and are checked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from idn_agents.systems import SYSTEMS, system_class
from idn_gym.cli import stdout
from idn_gym.cli.options import NOTHING_TO_RESUME, AsJson, Overrides, print_json, typed_command
from idn_gym.cli.terminal import complain
from idn_gym.errors import IdnError

system = typer.Typer(
    help="Nine systems of the field, what they decide and reach.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(SYSTEMS)}")]
Data = Annotated[
    Path | None, typer.Option(help="folder of the real data; checks that need a file of it are made where it is there")
]


@system.command("list")
def list_(as_json: AsJson = False) -> None:
    """The systems there are."""
    from idn_agents.systems.running import tables
    from idn_gym.report.console import console

    kinds = [system_class(name) for name in SYSTEMS]
    if as_json:
        print_json({"systems": [{"name": kind.name, "title": kind.title, "paper": kind.paper} for kind in kinds]})
    else:
        console().print(tables.systems(kinds))


@system.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """A system's formulas and facts, each with where it comes from, its settings and its stream."""
    from idn_agents.systems.running import tables
    from idn_gym.report.console import console

    kind = system_class(name)
    settings = kind.settings_kind().model_dump()
    if as_json:
        about = {"name": kind.name, "title": kind.title, "paper": kind.paper, "network": kind.network}
        formulas = [asdict(formula) for formula in kind.formulas]
        print_json({**about, "stream": kind.stream_format, "settings": settings, "formulas": formulas})
        return
    out = console()
    out.print(tables.formulas(kind))
    out.print(tables.settings(settings))


@system.command()
def run(
    name: Name,
    trace: Annotated[Path | None, typer.Option(help="file of the stream; default: a synthetic one")] = None,
    overrides: Overrides = None,
    output: Annotated[Path | None, typer.Option(help="folder for the records and the picture")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the interrupted run in --output")] = False,
    as_json: AsJson = False,
) -> None:
    """A system and its baselines on one stream, and what came of the paper's claims there."""
    from idn_agents.systems.frame import settings_of
    from idn_agents.systems.running import tables
    from idn_gym.experiment.folders import refuse_file, resumed
    from idn_gym.report.console import console

    if resume and output is None:
        raise IdnError(NOTHING_TO_RESUME)
    kind = system_class(name)
    made = kind(settings_of(kind.settings_kind, overrides or ()))
    if output is not None:  # what is wrong with it is told before anything runs
        from idn_gym.common.figures import require_matplotlib

        require_matplotlib()
        refuse_file(output)
        resumed(output / "system.json", resume, "run")
    stream = made.stream(trace)
    if output is None:
        results = [made.evaluate(policy, stream) for policy in made.policies()]
        claims = made.claims(results)
    else:
        from idn_agents.systems.running.records import recorded

        results, claims = recorded(output, made, stream, trace, typed_command(), resume)
    if as_json:
        rows = [{"policy": result.policy, **result.values} for result in results]
        about = {"system": name, "settings": made.settings.model_dump(), "trace": str(trace) if trace else None}
        print_json({**about, "policies": rows, "claims": [asdict(claim) for claim in claims]})
        return
    out = console()
    out.print(tables.results(made, results, str(trace) if trace else "the synthetic stream"))
    out.print(tables.claims(claims))
    if output is not None:
        out.print(f"records and picture in {output}")


@system.command()
def decide(
    name: Name,
    state: Annotated[Path, typer.Option(metavar="FILE", help="JSON file of the state; docs/systems.md has its keys")],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """One decision for one state."""
    from idn_agents.systems.frame import settings_of, validated
    from idn_gym.common.files import parse_json, read_text
    from idn_gym.report.console import console

    kind = system_class(name)
    made = kind(settings_of(kind.settings_kind, overrides or ()))
    given = validated(kind.state_kind, parse_json(read_text(state), str(state)), str(state))
    decision = made.decide(given)
    if decision.values is None:
        complain(f"{name}: {decision.reason}")
    if as_json:
        stdout.write(json.dumps(decision.values, allow_nan=False) + "\n")
    elif decision.values is not None:
        for key, value in decision.values.items():
            console().print(f"{key}: {_text(value)}")


@system.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of a system, or all")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Golden numbers; exit status 1 if one of them is missed."""
    from idn_agents.systems.running import tables
    from idn_gym.report.console import console

    if data is not None and not data.is_dir():
        raise IdnError(f"--data: {data} is no folder")
    names = list(SYSTEMS) if name == "all" else [name]
    kinds = [system_class(each) for each in names]
    checks = [(kind.name, found) for kind in kinds for found in kind().checks(data)]
    if as_json:
        print_json({"checks": [{"system": each, **asdict(found)} for each, found in checks]})
    else:
        console().print(tables.checks(checks))
    missed = [f"{each}: {found.name}" for each, found in checks if not found.holds]
    if missed:
        complain(f"{len(missed)} of {len(checks)} checks missed, {missed[0]} first")
        raise typer.Exit(1)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value) if not isinstance(value, str) else value
