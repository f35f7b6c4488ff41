"""Certificate files: what is claimed of a static optimum, and all it takes to check the claim without a solver."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from idn_agents.optimum.certificate import (
    MOST_LEAVES,
    OPEN,
    Certificate,
    Leaf,
    certified_bound,
    certified_gain,
    certified_net,
)
from idn_gym.common.files import parse_json, read_text, write_text
from idn_gym.common.parameters import LARGEST_SEED, shown
from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.model.allocation_file import named, named_values, parse_allocation
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.faults import faults_of, refusal
from idn_gym.scenario.kinds import CERTIFICATE, expecting
from idn_gym.scenario.section import Count, Section
from idn_gym.scenario.workloads import Replay
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import MOST_VALUES, Trace

FORMAT: Literal["idn-gym/certificate-4"] = "idn-gym/certificate-4"
_MARGIN = 1e-11  # relative, of what is claimed to what was computed: sums may come out otherwise on other machines
_DIGITS = 9  # of weights; what is lost goes to the type's ceiling
_MAX_BYTES = 2**27
_MOST_CHARGED = 1e30  # ms, for a placement
MOST_SLOTS = 100_000  # of a stream that is drawn to verify: what no file bounds takes memory and time all the same
_MOST_POINTS = 100_000
_MOST_ROWS = 1_000_000  # of weights, over all leaves
_MOST_TERMS = 2**40  # slots x terms of types, of all points and leaves with charges: about half an hour of one core

_Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
_Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
_Gain = Annotated[float, Field(ge=0.0)]
_Charge = Annotated[float, Field(ge=0.0, le=_MOST_CHARGED)]


class Weights(Section):
    """The weights of a cut point in the functions of request types; what a file leaves out is 0."""

    point: Annotated[int, Field(ge=0)]  # its number
    types: dict[str, dict[str, _Fraction]]  # task -> entry node -> weight


class LeafSection(Section):
    """Allocations that have some models placed and others left out, and the weights that bound their gain."""

    tasks: list[str] | None = None  # whose gain the leaf bounds, with the other leaves of these tasks; None: of all
    placed: dict[str, list[str]] = Field(default={})  # node -> models
    left_out: dict[str, list[str]] = Field(default={})
    weights: list[Weights] = Field(default=[])
    # in place of weights: task -> entry node -> node -> model -> ms that the type pays for what serves it
    type_charges: dict[str, dict[str, dict[str, dict[str, _Charge]]]] | None = None


class CertificateFile(Section):
    """The content of a certificate file: claims, the stream they are about, and what proves them."""

    # 3 had no charges of types in leaves, 2 no charges at all, nor tasks of a leaf
    format: Literal["idn-gym/certificate-4", "idn-gym/certificate-3", "idn-gym/certificate-2"]
    gain: _Gain  # ms over the stream: claimed of the allocation, at least
    net: float | None = None  # the same of its net gain, where anything has a price
    certified_bound: _Gain  # ms over the stream: claimed of every static allocation, at most; of the net gain, if any
    slots: Count
    seed: _Seed  # of the stream, unless it is a trace
    trace: str | None = None  # name of the request file, where one was given
    capacities: str | None = None
    allocation: dict[str, list[str]]  # node -> models
    points: list[dict[str, dict[str, _Fraction]]]  # node -> model -> fraction
    charges: dict[str, dict[str, float]] = Field(default={})  # node -> model -> ms that tasks pay for what they place
    leaves: Annotated[list[LeafSection], Field(min_length=1)]
    scenario: dict[str, Any]  # as in a scenario file, resolved

    @property
    def reached(self) -> float:
        """Ms that the bound is about, as claimed: the net gain, where there is one."""
        return self.gain if self.net is None else self.net

    def spec(self, scenario: Scenario | None, trace: Path | None, capacities: Path | None) -> RunSpec:
        """What the claims are about; a scenario or trace that is given stands in for the file's own.

        Raises
        ------
        IdnError
            If the file was made for a trace and none is given, no file that it names being opened; if its scenario is
            not valid, or the stream too long to be drawn.
        """
        requests, varying = self.trace, self.capacities
        if scenario is None:
            scenario = parse(self.scenario, "scenario")
            if isinstance(scenario.workload, Replay):
                requests, varying = requests or scenario.workload.requests, varying or scenario.workload.capacities
        elif isinstance(scenario.workload, Replay):
            requests = varying = None  # what is given names its own
        if requests is not None and trace is None:
            raise IdnError(f"made for the trace {requests}; give it with --trace")
        if varying is not None and capacities is None:
            raise IdnError(f"made for the capacities {varying}; give them with --capacities")
        if trace is None and not isinstance(scenario.workload, Replay):
            refuse_long(Network.compile(scenario), self.slots)
        how: dict[str, Any] = {"seed": self.seed, "slots": self.slots, "trace": trace, "capacities": capacities}
        return RunSpec(scenario, AgentSpec("optimum"), **how)


@dataclass(frozen=True)
class Verdict:
    """What a certificate proves, beside what it claims."""

    gain: float  # ms, that the allocation gains at least; 0 if it is not feasible
    net: float | None  # ms, that it gains net at least; None where nothing has a price, or it is not feasible
    certified_bound: float | None  # ms, that no static allocation exceeds; None if nothing is proven
    faults: tuple[str, ...]  # claims that are not proven, each with its numbers


def write_certificate(
    path: Path, spec: RunSpec, network: Network, trace: Trace, allocation: IntArray, certificate: Certificate
) -> None:
    """Write a certificate for an allocation (P,) and the best bound that the certificate proves."""
    rounded = (replace(leaf, weights=np.round(leaf.weights, _DIGITS)) for leaf in certificate.leaves)
    certificate = replace(certificate, leaves=tuple(rounded)).compact()
    replayed = spec.scenario.workload if spec.trace is None else None
    requests, varying = spec.trace, spec.capacities
    if isinstance(replayed, Replay):
        requests, varying = Path(replayed.requests), Path(replayed.capacities) if replayed.capacities else None
    gain, net = certified_gain(network, trace, allocation) * (1.0 - _MARGIN), None
    if network.priced:
        net = certified_net(network, trace, allocation)
        net -= _MARGIN * (2.0 * gain - net)  # of what it is the difference of
    content = CertificateFile(
        format=FORMAT,
        gain=gain,
        net=net,
        certified_bound=certified_bound(network, trace, certificate) * (1.0 + _MARGIN),
        slots=trace.slots,
        seed=spec.seed,
        trace=requests.name if requests else None,
        capacities=varying.name if varying else None,
        allocation=named(network, allocation),
        points=[named_values(network, point, sparse=True) for point in certificate.points],
        charges={} if certificate.charges is None else named_values(network, certificate.charges, sparse=True),
        leaves=[_section(network, leaf) for leaf in certificate.leaves],
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
    with expecting(path, CERTIFICATE):
        return _read(path)


def _read(path: Path) -> CertificateFile:
    values = parse_json(read_text(path, _MAX_BYTES), str(path))
    if not isinstance(values, dict):
        raise IdnError(f"{path}: {shown(values)}; a certificate is a mapping of keys")
    for key, most in (("leaves", MOST_LEAVES), ("points", _MOST_POINTS)):
        if isinstance(values.get(key), list) and len(values[key]) > most:
            raise IdnError(f"{path}: {key}: {len(values[key])} of them; at most {most}")
    try:
        return CertificateFile.model_validate(values)
    except ValidationError as error:
        raise refusal(path, faults_of(error, values, CertificateFile)) from None


def verify(network: Network, trace: Trace, file: CertificateFile) -> Verdict:
    """Compute what a certificate proves, and hold its claims against it: no tolerance, no solver, no checksum.

    Raises
    ------
    IdnError
        If it names a node, model, task or entry node that the network does not have, or is too large.
    """
    allocation = parse_allocation(network, file.allocation, "allocation").astype(np.int8)
    _refuse_too_much(network, trace, file)
    points = [parse_allocation(network, point, f"points.{n}") for n, point in enumerate(file.points)]
    types = network.type_index()
    leaves = tuple(_leaf(network, types, leaf, len(points), f"leaves.{n}") for n, leaf in enumerate(file.leaves))
    charges = parse_allocation(network, file.charges, "charges", _MOST_CHARGED)
    certificate = Certificate(np.array(points).reshape(len(points), network.P), leaves, charges)
    faults = []
    bound: float | None
    net: float | None = None
    if network.priced != (file.net is not None):
        faults.append("net: missing, and placements have prices" if network.priced else "net: nothing has a price")
    try:
        bound = certified_bound(network, trace, certificate)
    except IdnError as error:
        bound = None
        faults.append(str(error))
    else:
        if not file.certified_bound >= bound:
            claim = f"certified_bound: claims {file.certified_bound!r} ms"
            faults.append(f"{claim}; the cuts prove {bound!r} ms")
    try:
        gain = certified_gain(network, trace, allocation)
    except IdnError as error:
        gain = 0.0
        faults.append(str(error))
    else:
        if not file.gain <= gain:
            faults.append(f"gain: claims {file.gain!r} ms; the allocation gains {gain!r} ms")
        if network.priced:
            net = certified_net(network, trace, allocation)
            if file.net is not None and not file.net <= net:
                faults.append(f"net: claims {file.net!r} ms; the allocation gains {net!r} ms net")
    return Verdict(gain, net, bound, tuple(faults))


def refuse_long(network: Network, slots: int) -> None:
    """Raise an `IdnError` where a stream of so many slots would not be drawn to verify claims about it."""
    if slots > MOST_SLOTS or slots * network.R > MOST_VALUES // 8:
        raise IdnError(
            f"slots: {slots} of {network.R} request types; at most {MOST_SLOTS} slots and {MOST_VALUES // 8} values "
            "are drawn to verify; longer streams go through a file: idn-gym trace writes it, --trace reads it"
        )


def _refuse_too_much(network: Network, trace: Trace, file: CertificateFile) -> None:
    rows = sum(len(leaf.weights) for leaf in file.leaves)
    charged = sum(leaf.type_charges is not None for leaf in file.leaves)
    values = (len(file.points) + len(file.leaves)) * network.P + rows * network.R
    values += charged * len(network.service.terms)
    if rows > _MOST_ROWS or values > MOST_VALUES // 8:
        counted = f"{len(file.points)} points, {len(file.leaves)} leaves, {rows} rows of weights"
        most = f"at most {_MOST_ROWS} rows and {MOST_VALUES // 8} values"
        raise IdnError(f"{counted}: {values} values for this network; {most}")
    summed = (len(file.points) + charged) * trace.slots * len(network.service.terms)
    if summed > _MOST_TERMS:
        counted = f"{len(file.points)} points, {charged} leaves with type_charges, {trace.slots} slots"
        raise IdnError(f"{counted}: {summed} terms of the gain for this network; at most {_MOST_TERMS}")


def _section(network: Network, leaf: Leaf) -> LeafSection:
    """A leaf as a file has it."""
    of_part = None
    if leaf.types is not None:
        of_part = sorted({network.type_names[rho][0] for rho in np.flatnonzero(leaf.types)})
    return LeafSection(
        tasks=of_part,
        placed=named(network, leaf.fixed == 1),
        left_out=named(network, leaf.fixed == 0),
        weights=[
            Weights(point=int(cut), types=_by_task(network, row))
            for cut, row in zip(leaf.cuts, leaf.weights, strict=True)
        ],
        type_charges=None if leaf.charges is None else _named_charges(network, leaf.charges),
    )


def _leaf(network: Network, types: dict[tuple[str, str], int], section: LeafSection, points: int, source: str) -> Leaf:
    """A leaf of a file."""
    placed = parse_allocation(network, section.placed, f"{source}.placed") > 0.0
    left_out = parse_allocation(network, section.left_out, f"{source}.left_out") > 0.0
    if (placed & left_out).any():
        raise IdnError(f"{source}: {named(network, placed & left_out)}: both placed and left out")
    cuts = [each.point for each in section.weights]
    if any(cut >= points for cut in cuts):
        raise IdnError(f"{source}.weights: point {max(cuts)}; there are {points}, numbered from 0")
    rows = [_type_weights(types, each.types, f"{source}.weights.{n}.types") for n, each in enumerate(section.weights)]
    fixed = np.where(placed, 1, np.where(left_out, 0, OPEN)).astype(np.int8)
    of_part = None
    if section.tasks is not None:
        known = {task for task, _ in types}
        for task in section.tasks:
            if task not in known:
                raise IdnError(f"{source}.tasks: no request type for task {task!r}")
        of_part = np.array([task in section.tasks for task, _ in types], dtype=np.bool_)
    charges = None
    if section.type_charges is not None:
        if rows:
            raise IdnError(f"{source}: has weights and type_charges; must have one of them")
        charges = _type_charges(network, types, section.type_charges, f"{source}.type_charges")
    return Leaf(fixed, np.array(cuts, dtype=np.int64), np.array(rows).reshape(len(rows), network.R), of_part, charges)


def _by_task(network: Network, weights: FloatArray) -> dict[str, dict[str, float]]:
    """What of the weights (R,) is not 0, as task -> entry node -> weight."""
    held: dict[str, dict[str, float]] = {}
    for rho in np.flatnonzero(weights):
        task, entry = network.type_names[rho]
        held.setdefault(task, {})[entry] = float(weights[rho])
    return held


def _type_weights(types: dict[tuple[str, str], int], weights: dict[str, dict[str, float]], source: str) -> FloatArray:
    by_type = np.zeros(len(types))
    for task, by_entry in weights.items():
        for entry, weight in by_entry.items():
            if (task, entry) not in types:
                raise IdnError(f"{source}: no request type for task {task!r} from {entry!r}")
            by_type[types[task, entry]] = weight
    return by_type


def _named_charges(network: Network, charges: FloatArray) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """What of the charges (n,) per term is not 0, as a file has it."""
    terms = network.service.terms
    held: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for term in np.flatnonzero(charges):
        task, entry = network.type_names[terms.type[term]]
        node, model = network.names(int(terms.placement[term]))
        held.setdefault(task, {}).setdefault(entry, {}).setdefault(node, {})[model] = float(charges[term])
    return held


def _type_charges(
    network: Network,
    types: dict[tuple[str, str], int],
    charges: dict[str, dict[str, dict[str, dict[str, float]]]],
    source: str,
) -> FloatArray:
    """(n,) per term, of a file."""
    terms = network.service.terms
    by_term = np.zeros(len(terms))
    for task, by_entry in charges.items():
        for entry, by_node in by_entry.items():
            at = f"{source}.{task}.{entry}"
            if (task, entry) not in types:
                raise IdnError(f"{source}: no request type for task {task!r} from {entry!r}")
            rho = types[task, entry]
            own = slice(terms.start[rho], terms.start[rho + 1])
            by_placement = parse_allocation(network, by_node, at, _MOST_CHARGED)
            by_term[own] = by_placement[terms.placement[own]]
            by_placement[terms.placement[own]] = 0.0
            if by_placement.any():
                node, model = network.names(int(by_placement.argmax()))
                raise IdnError(f"{at}: {model!r} at {node!r} does not serve it")
    return by_term
