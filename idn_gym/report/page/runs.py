"""The parts of a page about runs: on one stream, over seeds, and in a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from idn_gym.common.text import listed, printable
from idn_gym.errors import IdnError
from idn_gym.experiment.evaluation import by_service
from idn_gym.experiment.intervals import compared
from idn_gym.experiment.record_files import read_result
from idn_gym.experiment.result import Result
from idn_gym.experiment.sweep import FIGURES
from idn_gym.report import tables
from idn_gym.report.layout import Table
from idn_gym.report.page import network as networks
from idn_gym.report.page.parts import Part
from idn_gym.report.page.settings import axes_of, figures_of, grouped, short, text_of, views
from idn_gym.report.page.streams import Stream, read_stream, read_streams
from idn_gym.typing import IntArray
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import read_trace

_FRAMES = 300_000  # numbers that the frames of all networks of a part may take
_LINES = 4  # kinds of line, each of a folder
_NETWORKS = 12  # settings of a part of which the network is shown
_SERVED, _SERVED_CHAINS = 20_000, 200  # slots that are served again to tell services apart, over all agents; seconds


def run_part(folder: Path) -> Part:
    """The part about a run of one seed."""
    stream = read_stream(folder)
    _refuse_empty(folder, [stream])
    results, requests = stream.results, stream.results[0].table.requests
    title = f"{stream.labels['scenario']}, {len(requests)} slots, seed {stream.about['seed']}"
    data = views([[stream]], stream.rows)
    services, note = _placed(data["settings"][0], stream, 1)
    return Part(
        title=printable(title),
        facts={
            "scenario": text_of(stream.labels["scenario"]),
            "seed": str(stream.about["seed"]),
            "slots": f"{len(requests):,}",
            "requests": f"{requests.sum():,.0f}",
        },
        command=[str(word) for word in stream.about["command"]],
        versions=_versions(stream.about),
        digests=dict(_digests([stream])),
        tables=[tables.results(results, f"{title}, {int(requests.sum()):,} requests")],
        more=services,
        notes=[*_missing([stream], 0), *_thinning(data), *note],
        views=data,
        hindsight=_hindsight([stream]),
        rows=stream.rows,
    )


def sweep_part(folder: Path) -> Part:
    """The part about a sweep, or a run of several seeds."""
    about, streams, left = read_streams(folder)
    _refuse_empty(folder, streams)
    streams = [stream for stream in streams if stream.results]
    rows = [row for stream in streams for row in stream.rows]
    groups = list(grouped(streams).values())
    axes, data = axes_of(rows), views(groups, rows)
    shown = groups[:_NETWORKS]
    more: list[Table[Any]] = []
    notes = [*_missing(streams, left), *_thinning(data)]
    for same, setting in zip(shown, data["settings"], strict=False):
        services, note = _placed(setting, same[0], len(shown))
        more += services if len(groups) == 1 else []
        notes += [one for one in note if one not in notes]
    if len(groups) > len(shown):
        notes.append(
            f"The network, and gains by service, are shown for the first {len(shown)} of {len(groups)} settings."
        )
    seeds = sorted({int(stream.about["seed"]) for stream in streams})
    slots = sorted({int(stream.about["slots"]) for stream in streams})
    scenarios = list(dict.fromkeys(text_of(stream.about["scenario"].get("name")) for stream in streams))
    facts = {
        "scenarios" if len(scenarios) > 1 else "scenario": listed(scenarios, room=240),
        "seeds" if len(seeds) > 1 else "seed": _ranges(seeds),
        "slots": " to ".join(f"{slot:,}" for slot in dict.fromkeys((slots[0], slots[-1]))),
        **{printable(key): listed(values, room=240) for key, values in axes.items() if key != "scenario"},
        "runs": f"{len(rows):,} on {len(streams):,} streams",
    }
    if axes:
        title = f"{listed(scenarios, 3)}: {len(streams):,} streams, {len(rows):,} runs"
        table = tables.sweep(rows, title)
    else:
        title = f"{scenarios[0]}, {slots[0]} slots, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
        table = tables.seeds({"agents": compared(rows, FIGURES), "seeds": seeds}, _hindsight(streams), title)
    return Part(
        title=title,
        facts=facts,
        command=[str(word) for word in about.get("command", ())],
        versions=_versions(about),
        digests=dict(_digests(streams)),
        tables=[table],
        more=more,
        notes=notes,
        views=data,
        hindsight=_hindsight(streams),
        rows=rows,
    )


def compared_part(names: Sequence[str], parts: Sequence[Part]) -> Part | None:
    """The part that puts the runs of several folders side by side; None where not two of them have any."""
    of_folder = {name: part for name, part in zip(names, parts, strict=True) if part.rows}
    if len(of_folder) < 2:
        return None
    rows = [{"folder": name, **row} for name, part in of_folder.items() for row in part.rows]
    axes = axes_of(rows)
    groups: dict[tuple[int, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        at = tuple(values.index(text_of(row.get(key))) for key, values in axes.items())
        groups.setdefault(at, []).append(row)
    data = views([], rows) | {
        "together": _together(of_folder) if list(axes) == ["folder"] else [],
        "settings": [
            {"at": list(at), "agents": {agent: {"figures": found} for agent, found in figures_of(same).items()}}
            for at, same in groups.items()
        ],
    }
    title = "Side by side"
    return Part(
        title=title,
        facts={name: part.title for name, part in of_folder.items()},
        tables=[tables.sweep(rows, f"{title}: {len(rows):,} runs")],
        notes=["Gains of two folders are comparable where their scenarios, seeds and slots are the same."],
        views=data,
    )


def _together(of_folder: Mapping[str, Part]) -> list[dict[str, Any]]:
    """The courses of folders that have one setting each; of none where they are more than lines can tell apart."""
    found: list[dict[str, Any]] = []
    for name, part in of_folder.items():
        assert part.views is not None  # it has runs
        [setting] = part.views["settings"]
        courses = {agent: of_agent["courses"] for agent, of_agent in setting["agents"].items()}
        found.append({"name": name, "x": setting["x"], "slots": setting["slots"], "courses": courses})
    return found if len(found) <= _LINES else []


def _placed(setting: dict[str, Any], stream: Stream, shown: int) -> tuple[list[Table[Any]], list[str]]:
    """Add to a setting what nodes hold on one of its streams, and what services gain there; tables and notes of it.

    Parameters
    ----------
    shown : settings that share the room and the time there is.
    """
    network, slots = stream.network, int(stream.about["slots"])
    whole = [read_result(network, stream.folder / one.agent.folder, one.agent, slots) for one in stream.results]
    agents = [printable(one.agent) for one in whole]
    changes = {agent: one.changes for agent, one in zip(agents, whole, strict=True)}
    setting["network"] = networks.picture(network, changes, slots, _FRAMES // shown) | {
        "seed": int(stream.about["seed"])
    }
    notes = []
    stops = len(setting["network"]["stops"])
    if stops < slots:
        notes.append(f"The slider of the network stops at {stops:,} of {slots:,} slots.")
    if stream.scenario.services is None:
        return [], notes
    chains = any(len(service.stages) > 1 for service in stream.scenario.services)
    served = max(1, (_SERVED_CHAINS if chains else _SERVED) // shown)
    every = -(-slots * len(whole) // served)
    found = {agent: _services(network, stream, one, every) for agent, one in zip(agents, whole, strict=True)}
    if every > 1:
        notes.append(f"Services are told apart in every {every:,}th slot; their requests and gains are of those slots.")
    setting["services"] = {
        "names": [row["service"] for row in next(iter(found.values()))],
        "agents": {agent: [_gain(row) for row in rows] for agent, rows in found.items()},
    }
    return [tables.services(rows, agent) for agent, rows in found.items()], notes


def _services(network: Any, stream: Stream, result: Result, every: int) -> list[dict[str, Any]]:
    capacities = stream.folder / "capacities.csv"
    trace = read_trace(network, stream.folder / "requests.csv", capacities if capacities.exists() else None)
    slots = slice(None, None, every)
    part = Trace(
        trace.requests[slots], trace.capacities[slots] if trace.varying else trace.capacities, varying=trace.varying
    )
    placed: Iterator[IntArray] = (one for slot, one in enumerate(result.placed()) if slot % every == 0)
    return by_service(network, part, placed)


def _gain(row: Mapping[str, Any]) -> float | None:
    """Ms per request of a service."""
    return short(row["gain"] / row["requests"]) if row["requests"] else None


def _refuse_empty(folder: Path, streams: Sequence[Stream]) -> None:
    if not any(stream.results for stream in streams):
        raise IdnError(f"{folder}: no agent has a result there yet; there is nothing to report")


def _hindsight(streams: Sequence[Stream]) -> set[str]:
    return {str(result.agent) for stream in streams for result in stream.results if result.hindsight}


def _missing(streams: Sequence[Stream], left: int) -> list[str]:
    """What is not in the record yet."""
    found = []
    if left:
        found.append(f"{left:,} streams of this record have not been begun, and are left out.")
    if missing := [agent for stream in streams for agent in stream.missing]:
        found.append(f"{len(missing):,} runs are not complete, and are left out: {listed(dict.fromkeys(missing))}.")
    return found


def _thinning(data: Mapping[str, Any]) -> list[str]:
    """What a point of a course stands for, where it is more than a slot."""
    thinned = [setting for setting in data["settings"] if len(setting["x"]) < setting["slots"]]
    if not thinned:
        return []
    most = max(-(-setting["slots"] // len(setting["x"])) for setting in thinned)
    block = f"a block of up to {most:,} slots"
    return [f"A point over time is the mean of {block}, or an average so far at its end; tables are of every slot."]


def _versions(about: Mapping[str, Any]) -> dict[str, str]:
    found = about.get("versions")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _digests(streams: Sequence[Stream]) -> Iterator[tuple[str, str]]:
    """Those of every stream's ``run.json`` and requests."""
    for stream in streams:
        before = f"{stream.folder.name}/" if len(streams) > 1 else ""
        for name, digest in stream.about["digests"].items():
            yield f"{before}{name}", str(digest)


def _ranges(numbers: Sequence[int]) -> str:
    """Sorted whole numbers, three or more in a row by their ends."""
    parts = np.split(np.array(numbers, dtype=object), np.flatnonzero(np.diff(np.array(numbers, dtype=object)) != 1) + 1)
    return ", ".join(f"{part[0]} to {part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts)
