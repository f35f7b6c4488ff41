"""Validating a file of any kind, told by its content."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.allocation_file import read_allocation
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario
from idn_gym.scenario.file import from_values, read_values
from idn_gym.workload.trace_file import CAPACITY_COLUMNS, REQUEST_COLUMNS, header, read_capacities, read_trace


def check_file(path: Path, scenario: str | None = None, overrides: Iterable[str] = ()) -> str:
    """Validate a scenario, trace, capacity or allocation file, and say which it is.

    Parameters
    ----------
    scenario : the scenario that a trace, capacity or allocation file is for.
    overrides : applied to that scenario.

    Raises
    ------
    IdnError
        With the first fault; or if a file needs a scenario and none is given.
    """
    columns = header(path)
    if path.suffix.lower() == ".csv" or columns in (REQUEST_COLUMNS, CAPACITY_COLUMNS):
        network = _network(path, scenario, overrides)
        if columns == CAPACITY_COLUMNS:
            read_capacities(network, path)
            return "capacity"
        read_trace(network, path)
        return "trace"
    values = read_values(path)
    keys = set(values) if isinstance(values, dict) else set()
    if keys & {"format", "tasks"} or (scenario is None and (not keys or keys & set(Scenario.model_fields))):
        from_values(values, str(path), overrides if scenario is None else ())
        return "scenario"
    read_allocation(_network(path, scenario, overrides), path)
    return "allocation"


def _network(path: Path, scenario: str | None, overrides: Iterable[str]) -> Network:
    if scenario is None:
        raise IdnError(f"{path}: give --scenario, the scenario that the file is for")
    return Network.compile(load_scenario(scenario, overrides))
