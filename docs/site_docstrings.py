"""Docstrings as the site shows them: what follows a parameter's colon is its description, its type the signature's."""

from __future__ import annotations

from typing import Any

import griffe

SECTIONS = (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)


class ShapesAsText(griffe.Extension):
    """Parameters here are `name : shape, unit, meaning`, where the parser of numpy's style takes that for a type."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Mend every docstring of a package once it is read."""
        todo: list[Any] = [pkg]
        while todo:
            here = todo.pop()
            todo += [member for member in here.members.values() if not member.is_alias]
            if here.docstring:
                here.docstring.parsed = _mended(here, here.docstring.parse("numpy", warnings=False))


def _mended(of: Any, sections: list[griffe.DocstringSection]) -> list[griffe.DocstringSection]:
    for section in sections:
        for item in section.value if section.kind in SECTIONS else ():
            typed = _annotation(of, item.name)
            if item.annotation is not None and item.annotation is not typed:
                item.description = f"{item.annotation} {item.description}".strip()
                item.annotation = typed
    return sections


def _annotation(of: Any, name: str) -> Any:
    """What the code says of a parameter's or an attribute's type."""
    parameters = getattr(of, "parameters", None)
    if parameters is not None and name in parameters:
        return parameters[name].annotation
    member = of.members.get(name)
    return getattr(member, "annotation", None)
