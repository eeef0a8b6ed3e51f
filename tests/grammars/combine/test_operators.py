"""Combined grammars accept what their parts say: regular ones as `re` does, JSON ones as `json` and `jsonschema` do."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import (
    BudgetExceeded,
    Grammar,
    GrammarError,
    Matcher,
    UnsatisfiableSchema,
    UnsupportedGrammar,
    Vocabulary,
    compile_choice,
    compile_gbnf,
    compile_json_schema,
    compile_lark,
    compile_regex,
)
from grammars.combine import both, compile_substring, either, optional, repeat, then

BYTES = Vocabulary.from_bytes([bytes((byte,)) for byte in range(256)] + [b'{"', b'":', b"ab", b"1}", None], eos_ids=260)
INTEGER = compile_json_schema({"type": "integer", "minimum": 0})
POINT = compile_json_schema(
    {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
)


def accepts(grammar: Grammar, text: str, *, begun: bool = False) -> bool:
    matcher = Matcher(grammar, BYTES)
    return matcher.accept_bytes(text.encode()) and (begun or matcher.is_accepting())


# A tree and the pattern of the same language. The JSON leaf makes parts that are lowered one by one.
leaves = st.sampled_from(
    [
        (compile_regex("a+"), "a+"),
        (compile_regex("(ab|b)?"), "(?:ab|b)?"),
        (compile_choice(["a", "ba", ""]), "(?:a|ba|)"),
        (compile_json_schema({"enum": [1, 12]}), "(?:12|1)"),
        (compile_substring("aba"), "(?:aba|ab|ba|a|b)"),
    ]
)


def _joined(parts: list[tuple[Grammar, str]]) -> tuple[Grammar, str]:
    return then(*(part for part, _ in parts)), "".join(f"(?:{pattern})" for _, pattern in parts)


def _either(parts: list[tuple[Grammar, str]]) -> tuple[Grammar, str]:
    return either(*(part for part, _ in parts)), "|".join(f"(?:{pattern})" for _, pattern in parts)


def _repeated(one: tuple[Grammar, str], low: int, more: int | None) -> tuple[Grammar, str]:
    high = None if more is None else low + more
    return repeat(one[0], low, high), f"(?:{one[1]}){{{low},{'' if high is None else high}}}"


trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(_joined),
        st.lists(inner, min_size=1, max_size=3).map(_either),
        st.builds(_repeated, inner, st.integers(0, 2), st.none() | st.integers(0, 2)),
    ),
    max_leaves=5,
)


@given(trees)
def test_a_tree_of_operators_accepts_what_its_pattern_matches(tree: tuple[Grammar, str]) -> None:
    grammar, pattern = tree
    for length in range(4):
        for text in map("".join, product("ab12", repeat=length)):
            assert accepts(grammar, text) == (re.fullmatch(pattern, text) is not None), (pattern, text)


def test_empty_copies_count_within_a_loop() -> None:
    """Two copies at least of what may be empty are one text that is not, within a repetition of it."""
    part = either(compile_json_schema({"enum": [1, 12]}), repeat(compile_regex("(ab|b)?"), 2, None))
    grammar = repeat(part, 0, None)
    assert [text for text in ("", "b", "ab", "bb", "1b", "b12", "a", "1a") if accepts(grammar, text)] == [
        "", "b", "ab", "bb", "1b", "b12",
    ]  # fmt: skip


@given(trees, st.randoms(use_true_random=False))
def test_walks_end_inside_the_language_and_within_the_budget(tree: tuple[Grammar, str], random: Any) -> None:
    grammar, pattern = tree
    matcher = Matcher(grammar, BYTES)
    row = np.zeros(BYTES.words, dtype=np.int32)
    left = matcher.min_tokens() + 1 + random.randrange(4)
    text = b""
    while not matcher.is_finished():
        matcher.fill_mask(row, budget=left)
        allowed = [token for token in range(BYTES.size) if row[token >> 5] >> (token & 31) & 1]
        token = random.choice(allowed)
        assert matcher.accept(token)
        text += BYTES.token_bytes(token)
        left -= 1
    assert left >= 0 and re.fullmatch(pattern, text.decode()), (pattern, text)


def test_repetitions_of_what_may_be_empty() -> None:
    """Grammars among it; and of what can only be empty nothing is left."""
    dyck = compile_gbnf('root ::= ("(" root ")")*')
    listed = compile_lark('start: ("x" "y"?)*\n%ignore " "')
    for grammar, yes, no in (
        (repeat(then("<", repeat(dyck, 1), ">"), 1), ["<>", "<()(())><>"], ["", "<(>"]),
        (repeat(either(dyck, "a"), 2, 3), ["", "a", "()a()", "aaa", "aa()"], ["aaaa", "("]),
        (then(repeat(listed), "."), [".", "xx x.", " ."], ["x"]),
        (repeat(repeat(compile_choice(["a"]), 0, 0)), [""], ["a"]),
        (then("b", repeat(either("", repeat("a", 0, 0)), 1, 2)), ["b"], ["ba"]),
    ):
        for text in yes:
            assert accepts(grammar, text), text
        for text in no:
            assert not accepts(grammar, text), text
        matcher = Matcher(grammar, BYTES)
        assert matcher.min_tokens() <= len(yes[0])


def test_json_parts_between_text() -> None:
    grammar = then("x=", POINT, compile_regex(" ?"), INTEGER, ";")
    assert accepts(grammar, 'x={"x": 3} 14;') and accepts(grammar, 'x={"x":3}0;')
    assert not accepts(grammar, 'x={"x":3} -1;', begun=True) and not accepts(grammar, 'x={"x":3} 1')
    matcher = Matcher(grammar, BYTES)
    assert matcher.forced_bytes() == b"x={"


def test_parts_keep_their_own_schemas() -> None:
    """References of two schemas lowered into one program are told apart."""
    text = compile_json_schema(
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}, "b": {"const": 1}}}
    )
    other = compile_json_schema(
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}, "b": {"const": 2}}}
    )
    grammar = repeat(either(then("a", text), then("b", other)), 1)
    assert accepts(grammar, "a[1,1]b[2]a[]") and not accepts(grammar, "a[2]") and not accepts(grammar, "b[1]")


def test_a_token_may_lie_across_parts() -> None:
    matcher = Matcher(then("a", compile_choice(["b"]), POINT), BYTES)
    assert matcher.accept(258) and matcher.accept(256)
    matcher.rollback(1)
    assert matcher.forced_bytes() == b"{"


def test_intersections() -> None:
    assert accepts(compile_regex("[a-c]+") & compile_regex(".{2,3}"), "abc")
    assert not accepts(compile_regex("[a-c]+") & compile_regex(".{2,3}"), "abca", begun=True)
    small = POINT & compile_json_schema({"properties": {"x": {"maximum": 5}}})
    assert accepts(small, '{"x": 5}') and not accepts(small, '{"x": 6}')
    listed = compile_choice(['{"x":1}', '{"y":1}', "no"]) & POINT
    assert accepts(listed, '{"x":1}') and not accepts(listed, '{"y":1}')
    assert accepts(both(compile_regex("[0-9]{1,2}"), INTEGER), "17") and not accepts(
        both(compile_regex("[0-9]{2}"), INTEGER), "07"
    )


def test_an_intersection_of_schemas_keeps_references_apart() -> None:
    first = compile_json_schema({"$ref": "#/$defs/v", "$defs": {"v": {"minimum": 3}}, "type": "integer"})
    second = compile_json_schema({"$ref": "#/$defs/v", "$defs": {"v": {"maximum": 4}}})
    assert [n for n in range(10) if accepts(first & second, str(n))] == [3, 4]


def test_operators_on_strings() -> None:
    grammar = "none" | POINT | "unknown"
    assert accepts(grammar, "none") and accepts(grammar, "unknown") and accepts(grammar, '{"x":0}')
    assert accepts(optional(POINT), "") and accepts(optional(POINT), '{"x":0}')


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(UnsupportedGrammar, match="no automaton"):
        compile_regex("(.|\n)*x(.|\n)*") & POINT
    with pytest.raises(UnsupportedGrammar, match="whitespace"):
        then(POINT, compile_json_schema(True, whitespace="compact"))
    with pytest.raises(GrammarError, match="no text is left"):
        compile_regex("a+") & compile_regex("b+")
    with pytest.raises(GrammarError, match="none of the strings"):
        compile_choice(["a"]) & POINT
    with pytest.raises(UnsatisfiableSchema):
        POINT & compile_json_schema({"type": "array"})
    with pytest.raises(BudgetExceeded, match="copies"):
        repeat(POINT, 0, 100_000)
    with pytest.raises(ValueError, match="3 to 2"):
        repeat(POINT, 3, 2)
    with pytest.raises(TypeError, match="combine compiled grammars"):
        then(3)  # type: ignore[arg-type]


def test_bytes_of_a_combination() -> None:
    grammar = then("x", POINT | "q", repeat(POINT, 1), compile_substring("abc"))
    again = Grammar.from_bytes(grammar.to_bytes())
    assert accepts(again, 'xq{"x":1}bc') and not accepts(again, 'xq{"x":1}d', begun=True)


def test_bytes_refuse_a_registry_inside() -> None:
    from referencing import Registry

    part = compile_json_schema({"type": "integer"}, registry=Registry())
    with pytest.raises(GrammarError, match="registry"):
        then("x", part).to_bytes()


def test_an_option_that_is_not_known_here_is_refused() -> None:
    """Another front-end may get options; a combination must not pass over them."""
    part = Grammar(compile_regex("a").program, {"kind": "regex", "source": "a", "flags": "i"})
    with pytest.raises(UnsupportedGrammar, match="flags"):
        repeat(then(part, POINT))
