"""YAML as people mean it: no aliases, no duplicate keys, `1e3` is a number, `no` is a string."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from idn_gym.common.text import printable_lines, shown
from idn_gym.errors import IdnError

_DEEPEST = 50
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser, where PyYAML was built with it


class _Loader(_Base):  # type: ignore[misc]
    """The scalars of YAML 1.2's core schema; duplicate keys are refused."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "keys must be strings", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {shown(key)} twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
# YAML 1.1 reads 010 as eight and 1:30 as ninety; the core schema does neither
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not read back as a string."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def parse_yaml(text: str, source: str) -> Any:
    """The JSON values of a YAML document.

    Raises
    ------
    IdnError
        If it is not YAML, uses aliases or tags, repeats a key or has a key that is not a string.
    """
    try:
        _refuse_what_is_not_plain(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise IdnError(f"{source}: not YAML as allowed here: {error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        raise IdnError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:  # an integer of thousands of digits
        raise IdnError(f"{source}: {str(error).splitlines()[0]}") from None


def _refuse_what_is_not_plain(text: str) -> None:
    """Before anything is built: building recurses, in C without a guard."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _fault("aliases are not allowed", event)
        if getattr(event, "tag", None) is not None:  # !!timestamp and the like build what is no JSON value, or fail
            raise _fault("tags are not allowed", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _fault(f"nested more than {_DEEPEST} deep", event)


def _fault(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def to_yaml(data: dict[str, Any]) -> str:
    """A YAML document of JSON values, with each item of a top-level list on a line of its own where it fits."""
    lines = []
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{key}:")
            lines += [f"  - {_flow(item)}" for item in value]
        elif isinstance(value, dict) and key == "provenance":
            lines.append(f"{key}:")
            lines += [f"  {_flow(name)}: {_flow(text, quoted=True)}" for name, text in value.items()]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any, quoted: bool = False) -> str:
    width = float("inf") if isinstance(value, str) else 200
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        default_style='"' if quoted else None,
        sort_keys=False,
        width=width,
        allow_unicode=True,
    )
    if quoted:  # a direction mark, which PyYAML leaves as it is; quotes read the escape back
        text = printable_lines(text)
    return text.removesuffix("\n").removesuffix("\n...").replace("\n", "\n    ")
