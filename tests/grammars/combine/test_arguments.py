"""Fields in turn, bare strings, and the kinds of values that a schema has."""

from __future__ import annotations

import pytest

from grammars import GrammarError, Matcher, Vocabulary
from grammars.combine import Field, bare_strings, compile_fields, kinds_of

VOCABULARY = Vocabulary.from_bytes([*(bytes((b,)) for b in range(128)), None], eos_ids=128)


def test_fields_in_every_choice() -> None:
    """All subsets of the optional fields, in order, with separators only between: against a plain listing."""
    fields = [Field("a", "1", required=False), Field("b", "2", ";"), Field("c", "3", required=False), Field("d", "")]
    grammar = compile_fields(fields, ",")
    expected = {",".join([*a, "b2;", *c, "d"]) for a in ([], ["a1"]) for c in ([], ["c3"])}
    pieces = ["a1", "b2;", "c3", "d", ","]
    made = {""}
    for _ in range(5):
        made |= {text + piece for text in made for piece in pieces}
    matcher = Matcher(grammar, VOCABULARY)
    for text in made | expected:
        matcher.reset()
        assert (matcher.accept_bytes(text.encode()) and matcher.is_accepting()) == (text in expected), text
    none = Matcher(compile_fields([]), VOCABULARY)
    assert none.is_accepting() and not none.accept_bytes(b",")


def test_bare_strings_and_kinds() -> None:
    schema = {"anyOf": [{"type": "string", "minLength": 2, "pattern": "^[a-c]*$"}, {"enum": ["x", 1, None]}]}
    assert kinds_of(schema) == {"string", "number", "null"} and kinds_of(False) == frozenset()
    grammar = bare_strings(schema, without=["cc"])
    for text, good in {"ab": True, "a": False, "x": True, "acc": False, "abc" * 9: True, "1": False}.items():
        matcher = Matcher(grammar, VOCABULARY)
        assert (matcher.accept_bytes(text.encode()) and matcher.is_accepting()) == good, text
    with pytest.raises(GrammarError, match="no string is left"):
        bare_strings({"const": "12"}, apart=["number"])
