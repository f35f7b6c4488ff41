"""What every section of a file is made of: kinds of values, and sections that refuse what they do not know."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, Strict, model_serializer

from idn_gym.common.text import UNPRINTABLE

_Line = Field(min_length=1, pattern=f"^[^{UNPRINTABLE}]*$")
Name = Annotated[str, _Line, Field(max_length=200)]
Location = Annotated[str, _Line, Field(max_length=4096)]  # of a file
# far beyond use, and low enough that no sum or product of figures overflows
NonNegative = Annotated[float, Field(ge=0.0, le=1e15)]
Positive = Annotated[float, Field(gt=0.0, le=1e15)]
Count = Annotated[int, Field(ge=1, le=10**9)]
# Strict mode refuses a list where a tuple is meant; files only have lists, so that one check is off.
AsTuple = Strict(False)


class Section(BaseModel):
    """Part of a file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Sparse(Section):
    """A section that writes some keys only where they say something: a file without them stays as it is."""

    unsaid: ClassVar[tuple[str, ...]] = ()  # keys left out while they have their default

    @model_serializer(mode="wrap")
    def _said(self, values_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = values_of(self)
        for key in self.unsaid:
            if key in values and getattr(self, key) == type(self).model_fields[key].default:
                del values[key]
        return values
