"""The JSON Schema of a kind of file, made of its sections: what each key is, its unit, and what it may hold."""

from __future__ import annotations

from typing import Any

from idn_gym.scenario.section import Section

_KEY = "$schema"  # where editors look for the schema of a file; it says nothing of what the file is about
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(file: type[Section], title: str) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of a kind of file.

    Rules that span several keys are not in it. It allows the key ``$schema``, by which editors find it.
    """
    document = file.model_json_schema()
    editors = {_KEY: {"type": "string", "description": "where editors find this schema"}}
    properties = {**editors, **document.pop("properties")}
    return {_KEY: _DIALECT, **document, "title": title, "properties": properties}


def without_schema(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a file less the key ``$schema``, where that is text."""
    return {key: value for key, value in values.items() if key != _KEY or not isinstance(value, str)}
