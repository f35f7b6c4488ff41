"""Checkpoints: a policy as ``policy.json``, what it is, and ``policy.pt``, its weights; reading them runs no code.

Weights are read by ``torch.load(weights_only=True)``, which knows tensors and refuses anything else, and have to be the
very tensors that the network built from the JSON asks for.
"""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch

from idn_agents.learning.features import NAMES
from idn_agents.learning.policy import FlatPolicy, PlacementPolicy
from idn_gym.errors import IdnError
from idn_gym.network import Network
from idn_gym.records import atomic, read_json, write_text

FORMAT = "idn-gym/policy-1"
SHIPPED = Path(__file__).with_name("shipped")  # trained on Topology II; docs/learners.md
_MOST_BYTES = 256 * 2**20
_WIDEST = 4096

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
    path = path / "policy.json" if path.is_dir() else path
    if path.suffix == ".zip":
        raise IdnError(f"{path}: an archive; reading one runs what is in it, so give the folder that training wrote")
    policy = _built(read_json(path), str(path))
    weights = load_tensors(path.with_name("policy.pt"))
    expected = policy.state_dict()
    if not isinstance(weights, dict) or weights.keys() != expected.keys():
        raise IdnError(f"{path.with_name('policy.pt')}: not the weights of the network in {path.name}")
    for key, value in expected.items():
        given = weights[key]
        if type(given) is not torch.Tensor or given.shape != value.shape or given.dtype != value.dtype:
            raise IdnError(f"{path.with_name('policy.pt')}: {key}: must be {value.dtype} of shape {tuple(value.shape)}")
        if not bool(torch.isfinite(given).all()):
            raise IdnError(f"{path.with_name('policy.pt')}: {key}: holds numbers that are not finite")
    policy.load_state_dict(weights)
    return policy.eval()


def refuse_other_network(policy: Policy, network: Network, source: str) -> None:
    """Raise unless a policy can score the placements of a network: a flat one scores those it was trained on alone."""
    if isinstance(policy, PlacementPolicy):
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


def load_tensors(path: Path) -> Any:
    """Read nested containers of tensors and numbers; code in the file is refused, not run.

    Raises
    ------
    IdnError
        If the file cannot be read, is too large, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise IdnError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise IdnError(f"{path}: larger than {_MOST_BYTES >> 20} MiB")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise IdnError(f"{path}: not a file of weights, or holds more than weights: {reason[0][:120]}") from None


def _built(values: dict[str, Any], source: str) -> Policy:
    """The network that a ``policy.json`` describes, with weights of no meaning."""
    if values.get("format") != FORMAT:
        raise IdnError(f"{source}: format {values.get('format')!r}; must be {FORMAT!r}")
    match values.get("kind"):
        case "placement":
            if values.get("features") != list(NAMES):
                raise IdnError(f"{source}: features: not those of this version, {', '.join(NAMES)}")
            return PlacementPolicy(_width(values, "hidden", source))
        case "flat":
            hidden = values.get("hidden")
            if not isinstance(hidden, list) or not 1 <= len(hidden) <= 8:
                raise IdnError(f"{source}: hidden: {hidden!r}; must be a list of 1 to 8 widths")
            if values.get("activation") not in ("tanh", "relu"):
                raise IdnError(f"{source}: activation: {values.get('activation')!r}; allowed: tanh, relu")
            widths = tuple(_width({"hidden": width}, "hidden", source) for width in hidden)
            inputs, outputs = (_width(values, key, source, 10_000_000) for key in ("inputs", "outputs"))
            return FlatPolicy(inputs, outputs, widths, values["activation"])
        case kind:
            raise IdnError(f"{source}: kind: {kind!r}; allowed: placement, flat")


def _width(values: dict[str, Any], key: str, source: str, most: int = _WIDEST) -> int:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise IdnError(f"{source}: {key}: {value!r}; must be a whole number in 1..{most}")
    return value
