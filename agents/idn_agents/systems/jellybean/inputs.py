"""A workflow in the files of the authors' optimiser, as in their VQA/examples/optimizer_inputs.

Their accuracies are a pickle, which is not loaded: ``end_to_end_accuracy.json`` stands for it, ``operators`` and one
nested table of percent by the variants of these.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from idn_agents.systems.frame import validated
from idn_agents.systems.jellybean.workflow import Workflow
from idn_gym.common.files import parse_json, read_text
from idn_gym.common.text import shown
from idn_gym.errors import IdnError


def read_inputs(folder: Path) -> Workflow:
    """The workflow in a folder; an `IdnError` if a file is missing, or holds something else."""
    tiers = _json(folder / "workers_partition.json")
    prices = dict(_rows(folder / "workers_specs.csv", 2, 1))
    if not isinstance(tiers, list) or any(not isinstance(tier, list) for tier in tiers):
        raise IdnError(f"{folder / 'workers_partition.json'}: {shown(tiers)}; must be a list of lists of workers")
    tier = {worker: number for number, workers in enumerate(tiers) for worker in workers}
    if unplaced := next((worker for worker in prices if worker not in tier), None):
        raise IdnError(f"{folder / 'workers_partition.json'}: worker {shown(unplaced)} has no tier")
    times: dict[str, dict[str, dict[str, float]]] = {}
    for operator, worker, variant, ms in _rows(folder / "execution_profile.csv", 4, 1):
        times.setdefault(operator, {}).setdefault(variant, {})[worker] = ms
    sizes = {(one, variant): kb for one, _, variant, _, kb in _rows(folder / "message_sizes.csv", 5, 1)}
    arcs = list(_rows(folder / "logical_graph.csv", 2, 0))
    entries: dict[str, dict[str, float]] = {tail: {} for tail, _ in arcs if tail not in times}
    for source, worker, price in _rows(folder / "sources_workers_link.csv", 3, 1):
        entries.setdefault(source, {})[worker] = price
    accuracies = _json(folder / "end_to_end_accuracy.json")
    operators = accuracies["operators"]
    table = next(value for key, value in accuracies.items() if key.endswith("_accuracy"))
    data = {
        "workers": [{"name": name, "price": price, "tier": tier[name]} for name, price in prices.items()],
        "sources": [
            {"name": name, "message_kb": sizes.get((name, "default"), 0.0), "links": links}
            for name, links in entries.items()
        ],
        "operators": [
            {
                "name": operator,
                "inputs": [tail for tail, head in arcs if head == operator],
                "variants": [
                    {
                        "name": variant,
                        "latency_ms": places,
                        "message_kb": sizes.get((operator, variant), sizes.get((operator, "default"), 0.0)),
                        "relative_cost": _relative_cost(accuracies, operator, variant),
                    }
                    for variant, places in variants.items()
                ],
            }
            for operator, variants in times.items()
        ],
        "links": [list(row) for row in _rows(folder / "workers_workers_link.csv", 3, 1)],
        "accuracies": [
            {"variants": dict(zip(operators, names, strict=True)), "percent": percent}
            for names, percent in _leaves(table)
        ],
    }
    return validated(Workflow, data, str(folder))


def _relative_cost(accuracies: dict[str, Any], operator: str, variant: str) -> float | None:
    costs = accuracies.get("relative_cost", {})
    found: float | None = costs.get(variant, costs.get(f"{operator}.{variant}"))
    return found


def _leaves(table: Any) -> Iterator[tuple[tuple[str, ...], float]]:
    """Keys on the way to each number of a nested table, and the number."""
    if not isinstance(table, dict):
        yield (), table
        return
    for name, inner in table.items():
        for names, percent in _leaves(inner):
            yield (name, *names), percent


def _json(path: Path) -> Any:
    return parse_json(read_text(path), str(path))


def _rows(path: Path, width: int, numbers: int) -> Iterator[tuple[Any, ...]]:
    """Rows of a file without a header: so many cells, the last of which are numbers; a comma may end a row."""
    for line, row in enumerate(csv.reader(io.StringIO(read_text(path)))):
        cells: list[Any] = [cell.strip() for cell in row]
        if not cells:
            continue
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) != width:
            raise IdnError(f"{path}: line {line + 1} has {len(cells)} cells; must have {width}")
        for at in range(width - numbers, width):
            try:
                cells[at] = float(cells[at])
            except ValueError:
                raise IdnError(f"{path}: line {line + 1}: {shown(cells[at])}; must be a number") from None
        yield tuple(cells)
