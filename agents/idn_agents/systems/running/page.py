"""What ``idn-gym report`` shows of a folder of ``idn-gym system run``; found through the group ``idn_gym.reports``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from idn_agents.systems import SYSTEMS, system_class
from idn_agents.systems.frame import Claim, Outcome, Tag
from idn_agents.systems.running import tables
from idn_agents.systems.running.records import FORMAT, read_measures
from idn_gym.common.text import allowed, printable, shown
from idn_gym.errors import IdnError
from idn_gym.experiment.folders import read_description
from idn_gym.report.page.parts import Part, Picture


def part(folder: Path) -> Part | None:
    """The policies, the claims and the picture; None where the folder is not of a system."""
    path = folder / "system.json"
    if not path.exists():
        return None
    about = read_description(path, FORMAT)
    name, settings = about.get("system"), about.get("settings")
    if name not in SYSTEMS or not isinstance(settings, dict):
        raise IdnError(f"{path}: system {shown(name)}; {allowed(name, SYSTEMS)}")
    kind = system_class(name)
    results = read_measures(folder, kind)
    if not results:
        raise IdnError(f"{folder}: no policy has a result there yet; there is nothing to report")
    trace = about.get("trace")
    claims = about.get("claims")
    drawn = folder / f"{name}.png"
    return Part(
        title=printable(f"{kind.name}: {kind.title}"),
        facts={
            "system": kind.name,
            "paper": kind.paper,
            "stream": printable(trace) if trace else "the synthetic one",
            **({"stream's SHA-256": printable(about["trace_sha256"])} if about.get("trace_sha256") else {}),
            **{f"setting {key}": printable(value) for key, value in settings.items()},
        },
        command=[str(word) for word in about.get("command", ())],
        versions={str(key): str(value) for key, value in about.get("versions", {}).items()},
        tables=[
            tables.results(kind(), results, printable(trace) if trace else "the synthetic stream"),
            *([tables.claims(_claims(path, claims))] if claims is not None else []),
        ],
        pictures=[Picture(drawn, f"{kind.name}: policies over two measures of its paper")] if drawn.exists() else [],
        notes=[] if claims is not None else ["The run is not complete: its claims are not decided."],
    )


def _claims(path: Path, values: Any) -> list[Claim]:
    """The claims of a ``system.json``."""
    try:
        return [Claim(**{**value, "tag": Tag(value["tag"]), "outcome": Outcome(value["outcome"])}) for value in values]
    except (TypeError, KeyError, ValueError):
        raise IdnError(f"{path}: claims: {shown(values)}; not what a run writes") from None
