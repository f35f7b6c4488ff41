"""Certificate files: what is claimed of a static optimum, and all it takes to check the claim without a solver."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from idn_agents.certificate import Certificate, certified_bound, certified_gain
from idn_gym.allocation_file import named, parse_allocation
from idn_gym.errors import IdnError
from idn_gym.experiment import AgentSpec, RunSpec
from idn_gym.network import Network
from idn_gym.records import write_text
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario_file import parse_json, read_text
from idn_gym.trace import Trace
from idn_gym.typing import FloatArray, IntArray

FORMAT: Literal["idn-gym/certificate-1"] = "idn-gym/certificate-1"
_MARGIN = 1e-11  # relative, of what is claimed to what was computed: sums may come out otherwise on other machines
_DIGITS = 9  # of weights; what is lost goes to the type's ceiling
_MAX_BYTES = 2**30

_Whole = Annotated[int, Field(ge=0, le=2**53)]
_Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
_Gain = Annotated[float, Field(ge=0.0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Cut(_Section):
    """A cut point and its weight in each request type's function; what a file leaves out is 0."""

    point: dict[str, dict[str, _Fraction]]  # node -> model -> fraction
    weights: dict[str, dict[str, _Fraction]]  # task -> entry node -> weight


class CertificateFile(_Section):
    """The content of a certificate file: claims, the stream they are about, and what proves them."""

    format: Literal["idn-gym/certificate-1"]
    gain: _Gain  # ms over the stream: claimed of the allocation, at least
    certified_bound: _Gain  # ms over the stream: claimed of every static allocation, at most
    slots: Annotated[int, Field(ge=1)]
    seed: _Whole  # of the stream, unless it is a trace
    trace: str | None = None  # name of the request file, where one was given
    capacities: str | None = None
    allocation: dict[str, list[str]]  # node -> models
    cuts: list[Cut]
    scenario: dict[str, Any]  # as in a scenario file, resolved

    def spec(self, scenario: Scenario | None, trace: Path | None, capacities: Path | None) -> RunSpec:
        """What the claims are about; a scenario or trace that is given stands in for the file's own.

        Raises
        ------
        IdnError
            If the file was made for a trace and none is given, or its scenario is not valid.
        """
        if self.trace is not None and trace is None:
            raise IdnError(f"made for the trace {self.trace}; give it with --trace")
        if self.capacities is not None and capacities is None:
            raise IdnError(f"made for the capacities {self.capacities}; give them with --capacities")
        scenario = scenario or parse(self.scenario, "scenario")
        return RunSpec(scenario, AgentSpec("optimum"), self.seed, self.slots, trace, capacities)


@dataclass(frozen=True)
class Verdict:
    """What a certificate proves, beside what it claims."""

    gain: float  # ms, that the allocation gains at least; 0 if it is not feasible
    certified_bound: float  # ms, that no static allocation exceeds
    faults: tuple[str, ...]  # claims that are not proven, each with its numbers


def write_certificate(
    path: Path, spec: RunSpec, network: Network, trace: Trace, allocation: IntArray, certificate: Certificate
) -> None:
    """Write a certificate for an allocation (P,) and the best bound that the certificate proves."""
    weights = np.round(certificate.weights, _DIGITS)
    kept = weights.any(axis=1)
    certificate = Certificate(certificate.points[kept], weights[kept])
    content = CertificateFile(
        format=FORMAT,
        gain=certified_gain(network, trace, allocation) * (1.0 - _MARGIN),
        certified_bound=certified_bound(network, trace, certificate) * (1.0 + _MARGIN),
        slots=trace.slots,
        seed=spec.seed,
        trace=spec.trace.name if spec.trace else None,
        capacities=spec.capacities.name if spec.capacities else None,
        allocation=named(network, allocation),
        cuts=[
            Cut(point=_by_node(network, point), weights=_by_task(network, weight))
            for point, weight in zip(certificate.points, certificate.weights, strict=True)
        ],
        scenario=spec.scenario.to_dict(),
    )
    text = json.dumps(content.model_dump(exclude_none=True), separators=(",", ":"), allow_nan=False)
    write_text(path, text + "\n")


def read_certificate(path: Path) -> CertificateFile:
    """Read a certificate file; whether its claims hold is for `verify` to say.

    Raises
    ------
    IdnError
        With the first key that is missing, unknown or not what it must be.
    """
    values = parse_json(read_text(path, _MAX_BYTES), str(path))
    if not isinstance(values, dict):
        raise IdnError(f"{path}: {str(values)[:60]!r}; a certificate is a mapping of keys")
    try:
        return CertificateFile.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise IdnError(f"{path}: {key}: {str(first['input'])[:60]!r}: {first['msg']}") from None


def verify(network: Network, trace: Trace, file: CertificateFile) -> Verdict:
    """Compute what a certificate proves, and hold its claims against it: no tolerance, no solver, no checksum.

    Raises
    ------
    IdnError
        If it names a node, model, task or entry node that the network does not have.
    """
    allocation = parse_allocation(network, file.allocation, "allocation").astype(np.int8)
    points = [parse_allocation(network, cut.point, f"cuts.{n}.point") for n, cut in enumerate(file.cuts)]
    weights = [_type_weights(network, cut.weights, f"cuts.{n}.weights") for n, cut in enumerate(file.cuts)]
    certificate = Certificate(
        np.array(points).reshape(-1, network.P),
        np.array(weights).reshape(-1, network.R),
    )
    bound = certified_bound(network, trace, certificate)
    faults = []
    try:
        gain = certified_gain(network, trace, allocation)
    except IdnError as error:
        gain = 0.0
        faults.append(str(error))
    else:
        if not file.gain <= gain:
            faults.append(f"gain: claims {file.gain!r} ms; the allocation gains {gain!r} ms")
    if not file.certified_bound >= bound:
        faults.append(f"certified_bound: claims {file.certified_bound!r} ms; the cuts prove {bound!r} ms")
    return Verdict(gain, bound, tuple(faults))


def _by_node(network: Network, point: FloatArray) -> dict[str, dict[str, float]]:
    """What of an allocation (P,) is not 0, as node -> model -> fraction."""
    held: dict[str, dict[str, float]] = {}
    for p in np.flatnonzero(point):
        node, model = network.placement_node[p], network.placement_model[p]
        held.setdefault(network.node_names[node], {})[network.model_names[model]] = float(point[p])
    return held


def _by_task(network: Network, weights: FloatArray) -> dict[str, dict[str, float]]:
    """What of the weights (R,) is not 0, as task -> entry node -> weight."""
    held: dict[str, dict[str, float]] = {}
    for rho in np.flatnonzero(weights):
        task, entry = network.scenario.tasks[network.type_task[rho]], network.node_names[network.type_entry[rho]]
        held.setdefault(task, {})[entry] = float(weights[rho])
    return held


def _type_weights(network: Network, weights: dict[str, dict[str, float]], source: str) -> FloatArray:
    types = network.type_index()
    by_type = np.zeros(network.R)
    for task, by_entry in weights.items():
        for entry, weight in by_entry.items():
            if (task, entry) not in types:
                raise IdnError(f"{source}: no request type for task {task!r} from {entry!r}")
            by_type[types[task, entry]] = weight
    return by_type
