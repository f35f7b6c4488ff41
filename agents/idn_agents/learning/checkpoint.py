"""Checkpoints: a policy as ``policy.json``, what it is, and ``policy.pt``, its weights; reading them runs no code.

Weights are read by ``torch.load(weights_only=True)``, which knows tensors and refuses anything else, and have to be the
very tensors that the network built from the JSON asks for. What a file would take in memory is known before it is read:
an archive has to be as `torch.save` writes it, uncompressed, and no larger than the network explains.
"""

from __future__ import annotations

import copy
import io
import json
import pickle
import pickletools
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from idn_agents.learning.features import NAMES
from idn_agents.learning.policy import FlatPolicy, PlacementPolicy
from idn_gym.common.files import atomic, read_json, write_text
from idn_gym.common.parameters import one_of, shown, whole
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService

FORMAT = "idn-gym/policy-1"
SHIPPED = Path(__file__).with_name("shipped")  # trained on Topology II; docs/learners.md
WIDEST = 4096  # hidden layer
MOST_BYTES = 256 * 2**20  # of a file of tensors
_MOST_WEIGHTS = MOST_BYTES // 8  # of a policy, in float32: half of what a file may hold
_MOST_LAYERS = 8  # hidden ones
OVERHEAD = 2**20  # bytes of a file of tensors besides the tensors
_TENSORS = {  # what rebuilds tensors, and the containers they stand in
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Byte", "Bool")),
}
_FAULTS = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, ArithmeticError, EOFError),
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError, MemoryError),
)

Policy = PlacementPolicy | FlatPolicy


def save_policy(folder: Path, policy: Policy, about: dict[str, Any]) -> None:
    """Write a policy into a folder; `about` says where it comes from and is not read back."""
    save_tensors(folder / "policy.pt", {key: value.cpu() for key, value in policy.state_dict().items()})
    write_text(
        folder / "policy.json", json.dumps({"format": FORMAT, **policy.config(), "about": about}, indent=1) + "\n"
    )


def load_policy(path: Path) -> Policy:
    """The policy in a folder that training wrote, or of its ``policy.json``.

    Raises
    ------
    IdnError
        If a file cannot be read, is not a checkpoint, or the weights are not those of its network.
    """
    try:
        path = path / "policy.json" if path.is_dir() else path
    except OSError as error:  # a name too long
        raise IdnError(f"{str(path)[:60]}...: cannot be read: {error.strerror}") from None
    if path.suffix == ".zip":
        raise IdnError(f"{path}: an archive; reading one runs what is in it, so give the folder that training wrote")
    values = read_json(path)
    with torch.device("meta"):  # takes no memory, however large
        policy = _built(values, str(path))
    count = refuse_large(policy, str(path))
    file = path.with_name("policy.pt")
    weights = load_tensors(file, 2 * 4 * count + OVERHEAD)
    expected = policy.state_dict()
    if not isinstance(weights, dict) or weights.keys() != expected.keys():
        raise IdnError(f"{file}: not the weights of the network in {path.name}")
    for key, value in expected.items():
        given = weights[key]
        if not isinstance(given, torch.Tensor) or given.shape != value.shape or given.dtype != value.dtype:
            raise IdnError(f"{file}: {key}: must be {value.dtype} of shape {tuple(value.shape)}")
    fault = not_finite(weights)
    if fault is not None:
        raise IdnError(f"{file}: {fault}: holds numbers that are not finite")
    policy = policy.to_empty(device="cpu")
    policy.load_state_dict(weights)
    return policy.eval()


def refuse_large(policy: Policy, source: str) -> int:
    """Number of a policy's weights; an `IdnError` if they are more than `load_policy` reads."""
    count = sum(parameter.numel() for parameter in policy.parameters())
    if count > _MOST_WEIGHTS:
        raise IdnError(f"{source}: a network of {count} weights; at most {_MOST_WEIGHTS}")
    return count


def restore_optimiser(optimiser: torch.optim.Optimizer, state: Any) -> None:
    """Load the state of an optimiser, and try it: only a step shows what of it is missing, or of another shape."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    before = [parameter.detach().clone() for parameter in parameters]
    optimiser.load_state_dict(copy.deepcopy(state))
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    optimiser.zero_grad()
    with torch.no_grad():
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
    optimiser.load_state_dict(state)


class Course(ABC):
    """A training chapter by chapter, ``for row in course.chapters(): ...``, that goes on from any of them.

    Parameters
    ----------
    policy : improved in place.
    learning_rate : of Adam.
    last : chapters in all.
    slots : that a chapter goes through.
    """

    def __init__(self, policy: Policy, learning_rate: float, last: int, slots: int) -> None:
        self.policy = policy
        self.optimiser = torch.optim.Adam(policy.parameters(), lr=learning_rate, eps=1e-5)
        self.chapter = 0  # the next one
        self._last, self._of_chapter = last, slots

    @property
    def steps(self) -> int:
        """Slots that training goes through, in whole chapters."""
        return self._last * self._of_chapter

    def state(self) -> dict[str, Any]:
        """All that the chapters to come depend on, as tensors and numbers."""
        return {
            "policy": self.policy.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "chapter": self.chapter,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        chapter = whole("chapter", state["chapter"], 0, self._last)
        self.policy.load_state_dict(state["policy"])
        restore_optimiser(self.optimiser, state["optimiser"])
        self.chapter = chapter

    def chapters(self) -> Iterator[dict[str, float]]:
        """Train to the end; after each chapter its row of the learning curve."""
        while self.chapter < self._last:
            began = time.process_time()
            row = self.play()
            self.chapter += 1
            yield {"steps": float(self.chapter * self._of_chapter), **row, "cpu_seconds": time.process_time() - began}

    @abstractmethod
    def play(self) -> dict[str, float]:
        """One chapter: its figures in the curve."""


def not_finite(weights: dict[str, torch.Tensor]) -> str | None:
    """The first tensor of a policy's that holds a number that is not finite, if there is one."""
    return next((key for key, value in weights.items() if not bool(torch.isfinite(value).all())), None)


def refuse_other_network(policy: Policy, network: Network, source: str) -> None:
    """Raise unless a policy can score the placements of a network.

    A flat one scores those that it was trained on alone, a placement policy any whose options are ranked.
    """
    if isinstance(policy, PlacementPolicy):
        RankedService.of(network.service, f"{source}: a placement policy")
        return
    sizes = {"inputs": network.R + 2 * network.P, "outputs": network.P}
    if (policy.inputs, policy.outputs) != tuple(sizes.values()):
        raise IdnError(
            f"{source}: a flat policy for P = {policy.outputs} placements and R = {policy.inputs - 2 * policy.outputs} "
            f"request types; {network.scenario.name} has P = {network.P} and R = {network.R}. A policy of kind "
            "placement runs on any network"
        )


def save_tensors(path: Path, values: Any) -> None:
    """Write nested containers of tensors and numbers, atomically."""
    content = io.BytesIO()
    torch.save(values, content)
    with atomic(path) as file:
        file.write(content.getvalue())


def load_tensors(path: Path, most: int = MOST_BYTES) -> Any:
    """Read nested containers of dense tensors and numbers; code in the file is refused, not run.

    Parameters
    ----------
    most : bytes that it may take, in the file and in memory.

    Raises
    ------
    IdnError
        If the file cannot be read, is too large, or holds anything else.
    """
    most = min(most, MOST_BYTES)
    try:
        if path.exists() and not path.is_file():
            raise IdnError(f"{path}: cannot be read: not a file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise IdnError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise IdnError(f"{path}: larger than {most} bytes, the most that such a file takes")
    try:
        _refuse_other_archives(content, most)
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        _refuse_other_tensors(values)
    except _FAULTS as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise IdnError(f"{path}: not a file of weights, or holds more than weights: {reason[0][:120]}") from None
    return values


def _refuse_other_archives(content: bytes, most: int) -> None:
    """Raise unless an archive is of those that `torch.save` writes, whole, and builds tensors alone."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        size = sum(entry.file_size for entry in entries)
        if size > most or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError(f"an archive that inflates to {size} bytes; allowed: uncompressed, at most {most}")
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{shown(damaged)} is damaged")
        pickles = [archive.read(entry) for entry in entries if entry.filename.endswith(".pkl")]
    for pickled in pickles:
        for opcode, argument, _ in pickletools.genops(pickled):
            names = opcode.name in ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4")
            if names and argument not in _TENSORS:
                raise ValueError(f"names {shown(argument)}")


def _refuse_other_tensors(values: Any) -> None:
    """Raise unless all tensors in nested containers are dense, with their numbers at hand."""
    waiting, seen = [values], set()
    while waiting:
        here = waiting.pop()
        if isinstance(here, torch.Tensor):
            if here.layout is not torch.strided or here.device.type != "cpu" or here.is_quantized:
                raise ValueError(f"a tensor that is not dense ({here.layout} on {here.device.type})")
        elif isinstance(here, dict | list | tuple) and id(here) not in seen:
            seen.add(id(here))
            waiting += here.values() if isinstance(here, dict) else here


def _built(values: dict[str, Any], source: str) -> Policy:
    """The network that a ``policy.json`` describes, with weights of no meaning."""
    if values.get("format") != FORMAT:
        raise IdnError(f"{source}: format {shown(values.get('format'))}; must be {FORMAT!r}")
    where = f"{source}: "
    match values.get("kind"):
        case "placement":
            if values.get("features") != list(NAMES):
                raise IdnError(f"{source}: features: not those of this version, {', '.join(NAMES)}")
            return PlacementPolicy(whole(f"{where}hidden", values.get("hidden"), highest=WIDEST))
        case "flat":
            hidden = values.get("hidden")
            if not isinstance(hidden, list) or not 1 <= len(hidden) <= _MOST_LAYERS:
                layers = f"{len(hidden)} layers" if isinstance(hidden, list) else shown(hidden)
                raise IdnError(f"{where}hidden: {layers}; must be a list of 1 to {_MOST_LAYERS} widths")
            activation = one_of(f"{where}activation", values.get("activation"), ("tanh", "relu"))
            widths = tuple(whole(f"{where}hidden", width, highest=WIDEST) for width in hidden)
            inputs, outputs = (whole(f"{where}{key}", values.get(key), highest=10**7) for key in ("inputs", "outputs"))
            return FlatPolicy(inputs, outputs, widths, activation)
        case kind:
            raise IdnError(f"{where}kind: {shown(kind)}; allowed: placement, flat")
