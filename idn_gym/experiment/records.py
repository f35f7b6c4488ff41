"""Agents played on one and the same stream, and kept in a record folder that can be resumed.

`record_files` says what such a folder holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from idn_gym.errors import IdnError
from idn_gym.experiment.folders import described, locked, resumed, versions
from idn_gym.experiment.play import Progress, play, silent
from idn_gym.experiment.record_files import (
    FORMAT,
    completed,
    read_result,
    read_row,
    read_run,
    refuse_other_stream,
    stream_files,
    write_result,
    write_run,
)
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import RunSpec, refuse_network
from idn_gym.model.network import Network
from idn_gym.workload.trace import Trace


def run(
    specs: Sequence[RunSpec],
    output: Path | None = None,
    *,
    resume: bool = False,
    command: Sequence[str] = (),
    progress: Progress = silent,
    plots: Callable[[Path, Network, Trace, list[Result]], None] | None = None,
) -> tuple[Network, Trace, list[Result]]:
    """Play agents on one and the same stream, and keep the records under `output` if given.

    Parameters
    ----------
    specs : runs that differ in their agent alone.
    output : record folder; new or empty, unless `resume`.
    resume : keep the agents that have a result there, and play the others from their start.
    command : what was typed, without ``--output`` and ``--resume``; kept in ``run.json``.
    plots : draws into the record folder once every agent has played.

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
    if output is None:
        return network, trace, [play(network, trace, spec.agent, spec.seed, progress) for spec in specs]
    with locked(output):
        _begin(output, specs, network, trace, resume, command)
        folders = [output / spec.agent.folder for spec in specs]
        kept = [
            read_result(network, folder, spec.agent, trace.slots) if completed(folder) else None
            for folder, spec in zip(folders, specs, strict=True)
        ]
        results = []
        for spec, folder, result in zip(specs, folders, kept, strict=True):
            if result is None:
                result = play(network, trace, spec.agent, spec.seed, progress)
                write_result(network, folder, result)
            results.append(result)
        if plots is not None:
            plots(output, network, trace, results)
    return network, trace, results


def verify(output: Path, specs: Sequence[RunSpec]) -> None:
    """Make sure that a folder holds what these runs wrote, as far as they have come, without drawing their stream.

    Raises
    ------
    IdnError
        Naming the file that is missing, damaged, of another version or run, or not as it was written.
    """
    slots = read_run(output, _about(specs), _versions(specs)).get("slots")
    if not isinstance(slots, int):
        raise IdnError(f"{output / 'run.json'}: slots: {str(slots)[:60]}; must be a whole number")
    for spec in specs:
        if completed(output / spec.agent.folder):
            read_row(output / spec.agent.folder, spec.agent)


def _about(specs: Sequence[RunSpec], slots: int | None = None) -> dict[str, Any]:
    """What runs are about; without `slots`, as far as it is known before their stream is."""
    return {
        "scenario": specs[0].scenario.to_dict(),
        "seed": specs[0].seed,
        **({} if slots is None else {"slots": slots}),
        "agents": [str(spec.agent) for spec in specs],
    }


def _versions(specs: Sequence[RunSpec]) -> dict[str, str]:
    return versions(name for spec in specs for name in spec.code)


def _begin(
    output: Path, specs: Sequence[RunSpec], network: Network, trace: Trace, resume: bool, command: Sequence[str]
) -> None:
    """Write what the agents share, or make sure that a folder to resume is about the same runs."""
    about, stream = _about(specs, trace.slots), stream_files(network, trace)
    if resumed(output / "run.json", resume, "run"):
        refuse_other_stream(output, read_run(output, about, _versions(specs)), stream)
    else:
        write_run(output, described(FORMAT, command, about, [name for spec in specs for name in spec.code]), stream)
