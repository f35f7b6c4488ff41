"""Validating a file of any kind, told by its content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from idn_gym.errors import IdnError
from idn_gym.experiment.record_tables import Changes, read_slots
from idn_gym.experiment.sweep_file import read_sweep
from idn_gym.library.load import load_scenario
from idn_gym.library.names import packaged_name
from idn_gym.model.allocation_file import read_allocation
from idn_gym.model.network import Network
from idn_gym.scenario import kinds
from idn_gym.scenario.file import read_scenario
from idn_gym.scenario.kinds import Kind, kind_of, misplaced
from idn_gym.scenario.slips import likely_slips
from idn_gym.workload.trace import MOST_VALUES
from idn_gym.workload.trace_file import read_capacities, read_trace

_CHECKED = (kinds.SWEEP, kinds.TRACE, kinds.CAPACITY, kinds.ALLOCATION, kinds.PLACED, kinds.SLOTS)


@dataclass(frozen=True)
class Checked:
    """A valid file: what it is, and what in it is likely a slip all the same."""

    kind: str  # as in "a valid trace file"
    warnings: tuple[str, ...] = ()


def check_file(path: Path, scenario: str | None = None, overrides: Iterable[str] = ()) -> Checked:
    """Validate a scenario, sweep, trace, capacity or allocation file, or a table of a record.

    Parameters
    ----------
    path : of the file; or the name or id of a packaged scenario, where there is no such file.
    scenario : the scenario that a trace, capacity, allocation or allocations.csv is for.
    overrides : applied to that scenario.

    Raises
    ------
    IdnError
        With the first fault, and all that are known in its `faults`; if a file needs a scenario and none is given; or
        if it is of a kind that another command checks.
    """
    if scenario is None and not path.exists() and packaged_name(str(path)) is not None:
        return Checked("scenario", tuple(likely_slips(load_scenario(str(path), overrides))))
    kind = kind_of(path)
    if kind is None:  # its reader says what is wrong with it
        whole = kinds.SCENARIO if scenario is None else kinds.ALLOCATION
        kind = kinds.TRACE if path.suffix.lower() == ".csv" else whole
    if kind is kinds.SCENARIO:
        found = read_scenario(path, overrides if scenario is None else ())
        return Checked("scenario", tuple(likely_slips(found)))
    if kind not in _CHECKED:
        raise misplaced(path, kind)
    if kind is kinds.SWEEP:
        read_sweep(path)
        return Checked("sweep")
    if kind is kinds.SLOTS:
        read_slots(path)
        return Checked("slots.csv")
    return _for_network(path, kind, _network(path, scenario, overrides))


def _for_network(path: Path, kind: Kind, network: Network) -> Checked:
    """Check a file whose names are those of a network."""
    if kind is kinds.TRACE:
        trace = read_trace(network, path)
        first = int(trace.requests.any(axis=1).argmax())
        late = trace.requests.any() and first > 0
        return Checked("trace", (f"slots count from 0; the first with requests is {first}",) if late else ())
    if kind is kinds.CAPACITY:
        capacities = read_capacities(network, path)
        return Checked(
            "capacity", () if capacities.any() else ("capacity: 0 throughout; nothing that is placed serves",)
        )
    if kind is kinds.PLACED:
        for _ in Changes(network, path, MOST_VALUES):
            pass
        return Checked("allocations.csv")
    read_allocation(network, path)
    return Checked("allocation")


def _network(path: Path, scenario: str | None, overrides: Iterable[str]) -> Network:
    if scenario is None:
        raise IdnError(f"{path}: give --scenario, the scenario that the file is for")
    return Network.compile(load_scenario(scenario, overrides))
