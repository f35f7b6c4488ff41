"""What `gymnasium.make` made an environment from, in a form that can be written."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gymnasium.envs.registration import EnvSpec

from idn_gym.env import arguments
from idn_gym.errors import IdnError


@dataclass
class UnwritableSpec(EnvSpec):
    """The spec of an environment whose reward is a function."""

    def to_json(self) -> str:
        """Refused."""
        raise IdnError("reward: a function cannot be written as JSON; make the environment with it anew")


def in_json(spec: EnvSpec | None) -> EnvSpec | None:
    """A spec whose arguments are JSON values, so that `EnvSpec.to_json` writes it."""
    if spec is None:
        return None
    given = {field.name: getattr(spec, field.name) for field in fields(spec) if field.init}
    given["kwargs"] = arguments.json_values("arguments", spec.kwargs)
    return (UnwritableSpec if callable(spec.kwargs.get("reward")) else EnvSpec)(**given)
