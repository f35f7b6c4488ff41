"""Text for people: what a terminal would act on is shown and not done, and a message is one line that ends."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import core_schema

from idn_gym.common import text
from idn_gym.errors import IdnError
from idn_gym.experiment.sweep_file import Grid
from idn_gym.scenario import Scenario
from idn_gym.scenario.faults import phrase

# by the Unicode standard: general category Cc, Zl and Zp, surrogates, and the marks of annex 9 that change direction
CONTROLS = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)]
DIRECTIONS = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
SURROGATES = ["\ud800", "\udbff", "\udc80", "\udfff"]
AS_IT_IS = [
    "bs[gpu]", "[/x]", ":smile:", "$x^{$", "a\u0301", "\u05d0\u05d1", "\U0001f469\u200d\U0001f680", "  two  ", "日本",
    "\xa0", "\ufeff", "\xad", "%s {0}", "<b>", "\\x1b",
]  # fmt: skip


@pytest.mark.parametrize("mark", [*CONTROLS, *DIRECTIONS, *SURROGATES], ids=ascii)
def test_what_a_terminal_acts_on_is_shown(mark: str) -> None:
    assert text.printable(f"a{mark}b") == f"a{ascii(mark)[1:-1]}b"


@pytest.mark.parametrize("name", AS_IT_IS)
def test_all_else_is_as_it_is(name: str) -> None:
    assert text.printable(name) == text.printable_lines(name) == text.line(name) == name


def test_lines_keep_their_breaks() -> None:
    assert text.printable_lines("a\n\tb\x1b\n") == "a\n\tb\\x1b\n"


@given(st.text(st.characters(), max_size=400))
def test_a_message_is_one_printable_line_that_ends(message: str) -> None:
    says = str(IdnError(message))
    assert len(says) <= text.LONGEST
    assert len(says.splitlines()) <= 1
    assert text.printable(says) == says
    assert str(IdnError(says)) == says, "a message within another is not changed again"
    assert str(pickle.loads(pickle.dumps(IdnError(message)))) == says
    says.encode()  # no surrogate is left


def test_a_long_message_keeps_its_ends() -> None:
    says = str(IdnError("file.yaml: " + "x" * 10_000 + "; must be short (and 3 more)"))
    assert says.startswith("file.yaml: x")
    assert says.endswith("; must be short (and 3 more)")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("it's", '"it\'s"'),
        ("a\nb", "'a\\nb'"),
        ("a\\nb", "'a\\\\nb'"),
        ("\U0001f469\u200d\U0001f680", "'\U0001f469\u200d\U0001f680'"),
        ("x" * 99, f"'{'x' * 56}..."),
        ([1] * 99, f"[{'1, ' * 18}1,..."),
        (10**5000, "a value of type int"),
        ([10**5000], "a value of type list"),
        (float("nan"), "nan"),
    ],
    ids=lambda value: type(value).__name__,  # pytest cannot print all of them
)
def test_values_are_quoted_and_shortened(value: Any, says: str) -> None:
    assert text.shown(value) == says


def test_lists_end() -> None:
    assert text.listed([]) == ""
    assert text.listed(["a", "b"]) == "a, b"
    assert text.listed([f"n{i}" for i in range(2000)]) == "n0, n1, n2, n3, n4, n5, n6, n7 and 1,992 more"
    assert text.listed(["x" * 100, "y" * 100, "z"]) == "x" * 100 + " and 2 more"
    assert text.listed(["x" * 500, "y"]) == "x" * 117 + "... and 1 more"
    assert text.listed({"\x1b": 1}) == "\\x1b"


# What pydantic can find wrong with the sections of our files: strict, from values that are Python's
KINDS = {
    "str": "string_type string_unicode string_too_short string_too_long string_pattern_mismatch",
    "int": "int_type greater_than greater_than_equal less_than less_than_equal",
    "float": "float_type finite_number greater_than greater_than_equal less_than less_than_equal",
    "bool": "bool_type",
    "none": "none_required",
    "list": "list_type",
    "literal": "literal_error",
    "tuple": "tuple_type too_short too_long",
    "dict": "dict_type too_short",
    "model": "model_type model_attributes_type invalid_key recursion_loop",
}
# what only leads to others, and what `faults_of` says by itself: missing, unknown keys and kinds
OTHERS = {"model-fields", "model-field", "nullable", "default", "tagged-union", "function-after", "any"}
OTHERS |= {"definitions", "definition-ref", "no-info", "function-wrap", "json-or-python"}
FIGURES = {"gt": 0, "ge": 1, "lt": 2.5, "le": 1e15, "min_length": 1, "max_length": 200, "expected": "'a'"}


def schema_types(node: Any) -> Iterator[str]:
    """The types of all parts of pydantic's core schema."""
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield node["type"]
        for key, part in node.items():
            if key != "metadata":
                yield from schema_types(part)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from schema_types(part)


@pytest.mark.parametrize("file", [Scenario, Grid])
def test_every_fault_of_our_files_has_words_of_ours(file: Any) -> None:
    found = set(schema_types(file.__pydantic_core_schema__))
    assert found >= {"str", "int", "tuple", "model"}
    assert found <= {*KINDS, *OTHERS}, "a new part: name the faults that it brings"
    for part in found & set(KINDS):
        for kind in KINDS[part].split():
            assert phrase({"type": kind, "ctx": FIGURES}).startswith(("must ", "keys must ", "allowed: ")), kind


@pytest.mark.parametrize("kind", get_args(core_schema.ErrorType))
def test_no_words_of_pydantic(kind: str) -> None:
    """Whatever else it may find one day."""
    ours = FIGURES | {"error": ValueError("ours")}
    says = phrase({"type": kind, "ctx": ours, "msg": "Input should be a valid thing"})
    assert says
    assert not [word for word in ("Input", "should", "valid", "{", "}") if word in says]
    assert kind != "value_error" or says == "ours"


def test_figures_of_a_fault() -> None:
    def said(kind: str, **context: Any) -> str:
        return phrase({"type": kind, "ctx": context})

    assert said("too_short", min_length=1, actual_length=0) == "must have at least 1 item"
    assert said("too_long", max_length=3, actual_length=9) == "must have at most 3 items"
    assert said("string_too_long", max_length=200) == "must have at most 200 characters"
    assert said("less_than_equal", le=1e15) == "must be less than or equal to 1e+15"
    assert said("less_than_equal", le=10**9) == "must be less than or equal to 1000000000"
