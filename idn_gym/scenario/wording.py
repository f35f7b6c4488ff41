"""What pydantic finds wrong with a value, in the words of this library."""

from __future__ import annotations

from typing import Any

_INTEGER, _NUMBER, _STRING = "must be an integer", "must be a number", "must be a string"
_BOOLEAN, _LIST, _MAPPING = "must be a boolean, true or false", "must be a list", "must be a mapping of keys"

# pydantic's name of the fault -> what must be; braces hold its figures
_WORDS = {
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be greater than or equal to {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be less than or equal to {le}",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_type": _STRING,
    "string_unicode": "must be a string of unicode characters, without lone surrogates",
    "string_sub_type": _STRING,
    "string_too_short": "must have at least {min_length}",
    "string_too_long": "must have at most {max_length}",
    "string_pattern_mismatch": "must be text of one line, without control characters and direction marks",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "iterable_type": _LIST,
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING,
    "invalid_key": "keys must be strings",
    "none_required": "must be left out",
    "recursion_loop": "must not hold itself",
    "literal_error": "allowed: {expected}",
    "enum": "allowed: {expected}",
}


def phrase(fault: Any) -> str:
    """What must be in place of a value, for an item of `pydantic.ValidationError.errors()`."""
    context = fault.get("ctx", {})
    kind = fault["type"]
    if kind in ("value_error", "assertion_error"):  # the words of who raised it
        return str(context.get("error", "is not allowed here"))
    noun = "character" if kind.startswith("string") else "item"
    figures = {key: _figure(value, noun if key.endswith("length") else "") for key, value in context.items()}
    return _WORDS.get(kind, "is not allowed here").format_map(figures)


def _figure(value: Any, noun: str) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {noun}{'' if value == 1 else 's'}" if noun else text
