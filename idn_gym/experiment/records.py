"""Agents played on one and the same stream, and kept in a record folder that can be resumed.

`record_files` says what such a folder holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from idn_gym.errors import IdnError
from idn_gym.experiment.folders import described, locked, resumed
from idn_gym.experiment.play import Progress, play, silent
from idn_gym.experiment.record_files import (
    FORMAT,
    completed,
    describe_run,
    read_result,
    read_row,
    read_run,
    record,
    stream_digests,
    write_run,
)
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import RunSpec, refuse_network
from idn_gym.model.network import Network
from idn_gym.typing import IntArray
from idn_gym.workload.trace import Trace

Plots = Callable[[Path, Network, Trace, list[Result]], None]  # the record folder, the stream, and what came of it


def run(
    specs: Sequence[RunSpec],
    output: Path | None = None,
    *,
    resume: bool = False,
    command: Sequence[str] = (),
    progress: Progress = silent,
    plots: Plots | None = None,
    keep: bool = False,
) -> tuple[Network, Trace, list[Result]]:
    """Play agents on one and the same stream, one after the other, and keep the records under `output` if given.

    Memory does not grow with the slots, but for the figures in each agent's table: 8 bytes a slot and column, 7 to 11
    columns. The stream is drawn anew for each agent, and records are written as they come. It is held as a whole
    where it comes from a file or an adversary, and where an agent is one in hindsight.

    Parameters
    ----------
    specs : runs that differ in their agent alone.
    output : record folder; new or empty, unless `resume`.
    resume : keep the agents that have a result there, and play the others from their start. Agents may be added to
        those that the folder is about: it is that of one run of them all then.
    command : what was typed, without ``--output`` and ``--resume``; kept in ``run.json``.
    plots : draws into the record folder once every agent has played.
    keep : without `output`, keep in memory what is placed too: `Result.changes`, which grow with the slots.

    Raises
    ------
    IdnError
        If an agent, trace or folder is not as it must be, another process is at work in the folder, or what is read
        back from it is not what this version would have written; nothing is played then.
    OSError
        If the disk is full; what was complete stays.
    """
    if len({spec.agent.folder for spec in specs}) < len(specs):
        raise IdnError("agents: the same agent with the same parameters twice; each can run once")
    agents = [spec.agent.make() for spec in specs]  # a wrong parameter should not cost the agents before it
    network, trace = specs[0].stream()
    for spec, agent in zip(specs, agents, strict=True):
        refuse_network(spec.agent, agent, network)
    if any(getattr(agent, "hindsight", False) for agent in agents):
        trace = Trace(trace.requests, trace.capacities, varying=trace.varying)  # all of it, once
    if output is None:
        changed = None if keep else _forgotten
        return network, trace, [play(network, trace, spec.agent, spec.seed, progress, changed) for spec in specs]
    with locked(output):
        about = _about(specs, trace.slots)
        begun = resumed(output / "run.json", resume, "run")
        digests = stream_digests(network, trace) if begun else {}
        there = read_run(output, about, specs, digests)["agents"] if begun else []
        folders = [output / spec.agent.folder for spec in specs]
        kept = [
            read_result(network, folder, spec.agent, trace.slots) if completed(folder) else None
            for folder, spec in zip(folders, specs, strict=True)
        ]
        if there != about["agents"]:  # nothing is written before all that is there is known to be as it should
            description = described(FORMAT, command, about, [name for spec in specs for name in spec.code])
            if begun:
                describe_run(output, description, digests)
            else:
                write_run(output, description, network, trace)
        results = []
        for spec, folder, result in zip(specs, folders, kept, strict=True):
            if result is None:
                result = record(network, folder, partial(play, network, trace, spec.agent, spec.seed, progress))
            results.append(result)
        if plots is not None:
            plots(output, network, trace, results)
    return network, trace, results


def verify(output: Path, specs: Sequence[RunSpec], digests: dict[str, str] | None = None) -> None:
    """Make sure that a folder holds what these runs wrote, as far as they have come, or some of their agents did.

    Parameters
    ----------
    digests : of the files of their stream (`record_files.stream_digests`), where it need not be drawn for this.

    Raises
    ------
    IdnError
        Naming the file that is missing, damaged, of another version or run, or not as it was written.
    """
    slots = read_run(output, _about(specs, specs[0].slots), specs, digests).get("slots")
    if not isinstance(slots, int):
        raise IdnError(f"{output / 'run.json'}: slots: {str(slots)[:60]}; must be a whole number")
    for spec in specs:
        if completed(output / spec.agent.folder):
            read_row(output / spec.agent.folder, spec.agent)


def _forgotten(slot: int, allocation: IntArray) -> None:
    """No change is kept."""


def _about(specs: Sequence[RunSpec], slots: int | None = None) -> dict[str, Any]:
    """What runs are about; without `slots`, as far as it is known before their stream is."""
    return {
        "scenario": specs[0].scenario.to_dict(),
        "seed": specs[0].seed,
        **({} if slots is None else {"slots": slots}),
        "agents": [str(spec.agent) for spec in specs],
    }
