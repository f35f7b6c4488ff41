"""A scenario: the content of a file that keeps every rule."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError, model_validator
from pydantic_core import PydanticCustomError

from idn_gym.common.text import shown
from idn_gym.errors import IdnError
from idn_gym.scenario.faults import faults_of, refusal, sentence
from idn_gym.scenario.json_schema import without_schema
from idn_gym.scenario.rules import broken_rules
from idn_gym.scenario.schema import Content


class Scenario(Content):
    """Everything needed, with a seed, to reproduce a run. Immutable; valid once it exists."""

    @model_validator(mode="after")
    def _rules(self) -> Scenario:
        found = broken_rules(self)
        if found:
            raise PydanticCustomError("rules", "{text}", {"text": sentence(found), "faults": found})
        return self

    def to_dict(self) -> dict[str, Any]:
        """The scenario as plain JSON values, defaults included where they say something; `parse` reads it back."""
        return self.model_dump(mode="json", exclude_none=True)


def parse(data: Any, source: str) -> Scenario:
    """Validate plain values (as read from a file) into a `Scenario`.

    Parameters
    ----------
    data : the content of a scenario file, as JSON values.
    source : where it came from, for the error message.

    Raises
    ------
    IdnError
        With the first fault, its key, value and what is allowed, and the number of further faults; its `faults` are
        all of them.
    """
    if not isinstance(data, dict):
        raise IdnError(f"{source}: a scenario is a mapping of keys, not {shown(data)}")
    try:
        return Scenario.model_validate(without_schema(data))
    except ValidationError as error:
        raise refusal(source, faults_of(error, data, Scenario)) from None
