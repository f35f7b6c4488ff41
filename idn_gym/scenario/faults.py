"""What pydantic finds wrong with the content of a file, in the words of this library: key, value, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import ValidationError

from idn_gym.common.files import dotted
from idn_gym.common.text import allowed, did_you_mean, line, nearest, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.section import Section
from idn_gym.scenario.workloads import OWN

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


def faults_of(error: ValidationError, data: dict[str, Any], file: type[Section]) -> list[str]:
    """What pydantic found wrong with the data of a kind of file, each fault as key, value and what is allowed.

    Unknown keys come first: one that is misspelt is why another is missing, which is then not said.
    """
    items = error.errors(include_url=False)
    within = {item["loc"][:n] for item in items for n in range(len(item["loc"]))}
    # pydantic does not count items that are at fault, and then finds too few
    items = [item for item in items if not (item["type"] == "too_short" and item["loc"] in within)]
    unknown = {item["loc"]: _keys(item["loc"], file) for item in items if item["type"] == "extra_forbidden"}
    missing = {item["loc"] for item in items if item["type"] == "missing"}
    meant = {(*place[:-1], nearest(place[-1], keys)) for place, keys in unknown.items()} & missing
    found: list[str] = []
    for item in sorted(items, key=lambda item: item["loc"] not in unknown):
        context, place, given = item.get("ctx", {}), item["loc"], item.get("input")
        if "faults" in context:
            found += context["faults"]
            continue
        key = dotted([step for step in place if step != OWN], data) or "scenario"  # that tag is no key
        match item["type"]:
            case "extra_forbidden":
                found.append(f"{key}: unknown key; {allowed(place[-1], unknown[place], most=20)}")
            case "missing":
                found += [f"{key}: missing"] if place not in meant else []
            case "sliding":
                found.append(f"{key}: {item['msg']}")
            case "union_tag_invalid":
                tags = context["expected_tags"]
                found.append(f"{key}.kind: {_choice(given['kind'], tags)}allowed: {tags}")
            case "union_tag_not_found" if not isinstance(given, dict):
                found.append(f"{key}: {shown(given)}; {_MAPPING}")
            case "union_tag_not_found":
                slip = nearest("kind", given)
                found.append(f"{key}.kind: missing" + (f"; is {shown(slip)} meant to be it?" if slip else ""))
            case "literal_error":
                found.append(f"{key}: {_choice(given, context['expected'])}{phrase(item)}")
            case _:
                found.append(f"{key}: {shown(given)}; {phrase(item)}")
    return found


def refusal(source: object, found: Iterable[str]) -> IdnError:
    """The error about a file with these faults: its message says the first, and it holds all."""
    faults = list(found)
    return IdnError(f"{source}: {sentence(faults)}", faults)


def sentence(found: list[str]) -> str:
    """The first fault, and how many more there are."""
    return line(found[0], 220) + (f" (and {len(found) - 1:,} more)" if len(found) > 1 else "")


def phrase(fault: Any) -> str:
    """What must be in place of a value, for an item of `pydantic.ValidationError.errors()`."""
    context = fault.get("ctx", {})
    kind = fault["type"]
    if kind in ("value_error", "assertion_error"):  # the words of who raised it
        return str(context.get("error", "is not allowed here"))
    noun = "character" if kind.startswith("string") else "item"
    figures = {key: _figure(value, noun if key.endswith("length") else "") for key, value in context.items()}
    return _WORDS.get(kind, "is not allowed here").format_map(figures)


def _choice(given: Any, expected: str) -> str:
    """A value that is none of those that pydantic lists, and which of them may be meant."""
    names = re.findall(r"'([^']*)'", expected)
    return f"{shown(given)}; {did_you_mean(given, names)}"


def _keys(location: tuple[int | str, ...], file: type[Section]) -> list[str]:
    """The keys of the section that a location is in."""
    return list(_section(location, file).model_fields)


def _section(location: tuple[int | str, ...], file: type[Section]) -> type[Section]:
    """The section of the key that a location ends with."""
    here = [file]
    for step in location[:-1]:
        field = here[0].model_fields.get(str(step))
        if len(here) > 1:  # a union: the step is its tag, not a key
            here = [
                section for section in here if step in (get_args(section.model_fields["kind"].annotation) or (OWN,))
            ]
        elif inner := _sections(field.annotation) if field else []:  # else the place or name of an item
            here = inner
    return here[0]


def _sections(annotation: Any) -> list[type[Section]]:
    """The sections that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _figure(value: Any, noun: str) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {noun}{'' if value == 1 else 's'}" if noun else text
