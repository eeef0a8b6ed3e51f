"""`Matcher`: tokens in, masks out; the end of the text, going back, copies, threads, and documents of any size."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grammars import (
    BudgetExceeded,
    Grammar,
    Matcher,
    UnsatisfiableSchema,
    UnsupportedSchema,
    Vocabulary,
    compile_choice,
    compile_json_schema,
    compile_regex,
    fill_masks,
)
from grammars.automaton.terminals import current_store
from tests.grammars.kernels.walking import mask_of
from tests.strategies.documents import parse, valid
from tests.strategies.grammars import Modes, byte_vocabulary, json_schemas, rich_vocabulary, schema_case, unpacked
from tests.strategies.hard_schemas import HARD_SCHEMAS
from tests.strategies.vocabularies import tiny_vocabulary

BYTES = byte_vocabulary()
EOS = 256
FREE = Modes("any", "any", "any")
Walk = Callable[[Matcher, Random, int], bytes | None]


def allowed(matcher: Matcher, budget: int | None = None) -> list[int]:
    """The tokens of the mask."""
    return [int(t) for t in unpacked(mask_of(matcher, budget)).nonzero()[0]]


# --------------------------------------------------------------------------------------- a vocabulary that fits the eye


def test_masks_by_hand() -> None:
    """The drawing in `tests/strategies/vocabularies.py`: what may follow at each place of {"a": 12}."""
    schema = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 12}}, "additionalProperties": False}
    matcher = Matcher(compile_json_schema(schema, whitespace="compact"), tiny_vocabulary())
    assert allowed(matcher) == [3, 4]  # {  {"
    assert matcher.accept(3)
    assert allowed(matcher) == [0, 1, 8]  # "  "a  }
    assert matcher.accept(1)
    assert allowed(matcher) == [0, 23]  # "  ":
    assert matcher.accept(23)
    assert allowed(matcher) == [18, 19, 20]  # 1  12  -
    assert matcher.accept(19)
    assert allowed(matcher) == [8]
    assert matcher.forced_bytes() == b"}"
    assert matcher.accept(8)
    assert allowed(matcher) == [5]  # EOS
    assert matcher.is_accepting() and not matcher.is_finished()


# ------------------------------------------------------------------------------------------------------ the end of text


@pytest.mark.parametrize("eos", [[4], [0, 4], [4, 40, 63]])
def test_every_end_token_ends_and_nothing_follows(eos: list[int]) -> None:
    tokens: list[bytes | None] = [b"z", b"a", b"b", b"ab", None]
    vocab = Vocabulary.from_bytes([None if i in eos else token for i, token in enumerate(tokens)], eos, 64)
    for end in eos:
        matcher = Matcher(compile_choice(["a", "ab"]), vocab)
        assert not matcher.accept(end), "the empty text is no option"
        assert not set(allowed(matcher)) & set(eos)
        assert matcher.accept(1) and matcher.is_accepting()
        assert allowed(matcher) == sorted([2, *eos])
        assert matcher.accept(end) and matcher.is_finished()
        assert allowed(matcher) == sorted(eos)
        assert not matcher.accept(2) and not matcher.accept_bytes(b"b")
        assert matcher.forced_bytes() == b"" and matcher.next_bytes() == b""
        assert matcher.accept(eos[0]), "padding after the end"
        assert matcher.n_tokens == 3
        matcher.rollback(2)
        assert not matcher.is_finished() and matcher.n_tokens == 1
        assert matcher.accept(2) and allowed(matcher) == sorted(eos)


def test_the_empty_text_may_end_at_once() -> None:
    matcher = Matcher(compile_choice(["", "a"]), BYTES)
    assert matcher.is_accepting()
    assert allowed(matcher) == [ord("a"), EOS]
    assert matcher.forced_bytes() == b"", "the end is a choice too"


@pytest.mark.parametrize("token", [-1, 257, 10_000, 24, 5])
def test_tokens_without_text_are_refused(token: int) -> None:
    """Unknown ids, special tokens, and EOS before the end."""
    matcher = Matcher(compile_json_schema(True), tiny_vocabulary())
    assert not matcher.accept(token) and not matcher.is_allowed(token)
    assert matcher.n_tokens == 0
    assert not matcher.explain(token).allowed
    assert "no text" in str(matcher.explain(token))


# ----------------------------------------------------------------------------------------------------------- going back


def test_rollback_beyond_the_start_is_an_error() -> None:
    matcher = Matcher(compile_regex("a*"), BYTES)
    assert matcher.accept(97)
    for n in (-1, 2):
        with pytest.raises(ValueError, match=f"cannot take back {n} of 1"):
            matcher.rollback(n)
    matcher.rollback(0)
    assert matcher.n_tokens == 1


def test_reset_is_the_start() -> None:
    matcher = Matcher(compile_json_schema({"type": "object"}), BYTES)
    start = mask_of(matcher)
    for byte in b'{"a":[1':
        assert matcher.accept(byte)
    matcher.reset()
    assert matcher.n_tokens == 0
    np.testing.assert_array_equal(start, mask_of(matcher))


def test_refused_input_changes_nothing() -> None:
    matcher = Matcher(compile_json_schema({"const": "abc"}), BYTES)
    assert matcher.accept_bytes(b'"ab')
    before = mask_of(matcher)
    for text in (b"d", b'"', b"cc", b'c"x', b"\x00"):
        assert not matcher.accept_bytes(text)
        np.testing.assert_array_equal(before, mask_of(matcher))
    assert matcher.accept_bytes(b""), "no text is no change"
    assert matcher.accept_bytes(b'c"') and matcher.is_accepting()


def test_copies_go_their_own_ways() -> None:
    matcher = Matcher(compile_json_schema(True), BYTES)
    assert matcher.accept_bytes(b'{"a":1,"b":[')
    copies = [matcher.copy() for _ in range(20)]
    for i, copy in enumerate(copies):
        assert copy.accept_bytes(b'{"k":' * i + b"1" + b"}" * i + b',"' + b"x" * i)
    assert matcher.n_tokens == 1
    assert matcher.accept_bytes(b'1],"c":2}') and matcher.is_accepting()
    for i, copy in enumerate(copies):
        assert not copy.is_accepting()
        assert copy.accept_bytes(b'"],"c":{}}') and copy.is_accepting(), i
        copy.rollback(2)
        assert not copy.accept_bytes(b"{{")
        assert copy.n_tokens == 1


def test_drafts_are_counted_and_taken_back() -> None:
    matcher = Matcher(compile_json_schema({"const": [1]}, whitespace="compact"), BYTES)
    assert matcher.count_valid(b"[1]") == 3
    assert matcher.count_valid([*b"[1]", EOS, EOS]) == 5
    assert matcher.count_valid(b"[2]") == 1
    assert matcher.count_valid([]) == 0
    assert matcher.n_tokens == 0


def test_forced_text_runs_to_the_next_choice() -> None:
    schema = {"type": "object", "properties": {"kind": {"enum": ["one", "other"]}}, "required": ["kind"]}
    matcher = Matcher(compile_json_schema(schema, whitespace="compact"), BYTES)
    assert matcher.forced_bytes() == b'{"kind":"o'
    assert matcher.accept_bytes(b'{"kind":"ot')
    assert matcher.forced_bytes() == b'her"'
    assert matcher.n_tokens == 1


def test_explanations_say_what_fits_and_what_could_follow() -> None:
    vocab, entries = rich_vocabulary((b'"name"',))
    schema = {"type": "object", "properties": {"name": {"type": "integer"}}, "additionalProperties": False}
    matcher = Matcher(compile_json_schema(schema, whitespace="compact"), vocab)
    found = matcher.explain(entries.index(b'{"'))
    assert found.allowed and "is allowed" in str(found)
    found = matcher.explain(entries.index(b"{}}"))
    assert not found.allowed and found.fits == 2 and found.expected == ()
    assert "the end of the text" in str(found)
    found = matcher.explain(entries.index(b"[]"))
    assert found.fits == 0 and found.expected == ("{",)
    assert matcher.n_tokens == 0


# ---------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("depth", [10, 300, 3000])
def test_deep_documents(depth: int) -> None:
    """The arena grows; memory of the way back is kept; each level has its own keys."""
    matcher = Matcher(compile_json_schema({}, whitespace="compact"), BYTES)
    for _ in range(depth):
        assert matcher.accept_bytes(b'{"a":[')
    assert ord("]") in allowed(matcher) and EOS not in allowed(matcher)
    for level in range(depth):
        assert matcher.accept_bytes(b"]"), level
        assert not matcher.accept_bytes(b',"a":1'), "the key is there already"
        assert matcher.accept_bytes(b',"b":1}'), level
    assert matcher.is_accepting() and allowed(matcher) == [EOS]
    matcher.rollback(2 * depth)
    assert matcher.n_tokens == depth and not matcher.is_accepting()
    assert matcher.copy().accept_bytes(b"]}" * depth)


def test_long_documents() -> None:
    """Twenty thousand items and as many keys, each of which stays known."""
    matcher = Matcher(compile_json_schema({}, whitespace="compact"), BYTES)
    assert matcher.accept_bytes(b"[" + b"1," * 20_000 + b"1]") and matcher.is_accepting()
    matcher.reset()
    keys = [json.dumps(str(i)).encode() for i in range(2000)]
    assert matcher.accept_bytes(b"{" + b",".join(key + b":0" for key in keys))
    for key in (keys[0], keys[999], keys[-1]):
        assert not matcher.accept_bytes(b"," + key)
    assert matcher.accept_bytes(b',"2000":0}')


def test_objects_of_many_properties() -> None:
    """More than one word of 64 keys, any order, each at most once, the required ones present."""
    names = [f"k{i}" for i in range(200)]
    schema = {"type": "object", "properties": {n: {"const": 1} for n in names}, "required": names[50:150],
              "additionalProperties": False}  # fmt: skip
    matcher = Matcher(compile_json_schema(schema, property_order="any", whitespace="compact"), BYTES)
    random = Random(7)
    order = random.sample(names[40:], 160)
    assert matcher.accept_bytes(b"{")
    for i, name in enumerate(order):
        assert matcher.accept_bytes(b"," * (i > 0) + b'"' + name.encode() + b'":1')
        other = random.choice(order[: i + 1])
        assert not matcher.accept_bytes(b',"' + other.encode() + b'"')
        assert matcher.accept_bytes(b"}") == (set(order[: i + 1]) >= set(names[50:150]))
        matcher.rollback(matcher.n_tokens - i - 2)
    left = {name for name in names if matcher.copy().accept_bytes(b',"' + name.encode() + b'"')}
    assert left == set(names) - set(order)


def test_a_long_token_crosses_many_values() -> None:
    text = b'[{"a":' * 40 + b"1" + b"}]" * 40
    cuts = (1, 100, 240, 300, len(text))
    entries: list[bytes | None] = [*(text[:k] for k in cuts), text[240:], text + b"]", None]
    matcher = Matcher(compile_json_schema({}), Vocabulary.from_bytes(entries, [7]))
    assert allowed(matcher) == [0, 1, 2, 3, 4]
    assert matcher.accept(2) and allowed(matcher) == [0, 1, 2, 3, 4, 5]
    assert matcher.accept(5) and allowed(matcher) == [7]


# -------------------------------------------------------------------------------------------------------------- threads


def test_threads_agree() -> None:
    """Two threads over one grammar whose parts, rows and masks are all still to be made."""
    schema = {"type": "array", "items": {"anyOf": [HARD_SCHEMAS["tree"], HARD_SCHEMAS["tagged"], {"type": "string"}]}}
    vocab, _ = rich_vocabulary((b'"v"', b'"t"'))
    text = b'[{"v":1,"l":[{"v":2,"r":[]}]},{"t":"b","b":17,"x":[true,{"v":0}]},"a\\"\xc3\xa9"]'

    def run(grammar: Grammar, into: list[Any]) -> None:
        matcher = Matcher(grammar, vocab)
        for byte in text:
            into.append(mask_of(matcher))
            if not matcher.accept_bytes(bytes((byte,))):
                into.append("refused")

    expected: list[Any] = []
    run(schema_case(schema, FREE).grammar(), expected)
    for _ in range(3):
        grammar = schema_case(schema, FREE).grammar()
        found: list[list[Any]] = [[], [], []]
        threads = [threading.Thread(target=run, args=(grammar, into)) for into in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for rows in found:
            assert len(rows) == len(expected) == len(text)
            for row, should_be in zip(rows, expected, strict=True):
                np.testing.assert_array_equal(row, should_be)


def test_batches_in_threads_agree() -> None:
    """Batches of one grammar, each filled by two threads, while others enter the masks that these look up."""
    vocab, _ = rich_vocabulary((b'"v"', b'"t"'))
    text = b'[{"v":1,"l":[{"v":2,"r":[]}]},{"v":-2e5,"l":[]}]'
    case = schema_case({"type": "array", "items": HARD_SCHEMAS["tree"]}, FREE)

    def run(grammar: Grammar, into: list[Any]) -> None:
        matchers = [Matcher(grammar, vocab) for _ in range(6)]
        rows = np.zeros((6, vocab.words), np.int32)
        for k in range(len(text) + 6):
            started = [m if 0 <= k - i < len(text) else None for i, m in enumerate(matchers)]
            fill_masks(started, rows, threads=2)
            into.append(rows.copy())
            for i, matcher in enumerate(started):
                if matcher is not None:
                    assert matcher.accept_bytes(text[k - i : k - i + 1])

    alone = Matcher(case.grammar(), vocab)
    expected = []
    for byte in text:
        expected.append(mask_of(alone))
        assert alone.accept_bytes(bytes((byte,)))
    for _ in range(3):
        grammar = case.grammar()
        found: list[list[Any]] = [[], []]
        threads = [threading.Thread(target=run, args=(grammar, into)) for into in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for steps in found:
            assert len(steps) == len(text) + 6
            for k, rows in enumerate(steps):
                for i, row in enumerate(rows):
                    np.testing.assert_array_equal(row, expected[k - i] if 0 <= k - i < len(text) else -1)


def test_rows_of_a_batch_that_do_not_fit() -> None:
    matcher = Matcher(compile_regex("a+"), BYTES)
    for rows in (np.zeros((2, BYTES.words), np.int32), np.zeros((1, BYTES.words), np.int64)):
        with pytest.raises(ValueError, match="as many rows of int32"):
            fill_masks([matcher], rows)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="words"):
        fill_masks([matcher], np.zeros((1, BYTES.words - 1), np.int32))


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_masks_of_a_batch(threads: int | None) -> None:
    grammars = [compile_json_schema(True), compile_regex("a+"), compile_choice(["b"])]
    matchers = [None if i % 4 == 3 else Matcher(grammars[i % 3], BYTES) for i in range(9)]
    rows = np.zeros((9, BYTES.words), np.int32)
    fill_masks(matchers, rows, threads)
    for matcher, row in zip(matchers, rows, strict=True):
        np.testing.assert_array_equal(row, -1 if matcher is None else mask_of(matcher))


# --------------------------------------------------------------------------------------------------- sound, no dead end


def finish(matcher: Matcher, random: Random, steps: int) -> bytes | None:
    """The text of a random walk: free for some steps, then with a preference for what closes. None: it did not end."""
    text = b""
    for step in range(8 * steps):
        tokens = allowed(matcher)
        assert tokens, f"dead end after {text!r}"
        ends = [token for token in tokens if token in matcher.vocab.eos_ids]
        if ends and (len(ends) == len(tokens) or step > steps or random.random() < 0.2):
            assert matcher.accept(ends[0])
            return text
        if step > steps and random.random() < 0.8:
            tokens = [t for t in tokens if matcher.vocab.token_bytes(t)[:1] in (b'"', b"}", b"]")] or tokens
        token = random.choice([token for token in tokens if token not in ends])
        assert matcher.accept(token)
        text += matcher.vocab.token_bytes(token)
    return None


def finish_in_time(matcher: Matcher, random: Random, steps: int) -> bytes:
    """The text of a random walk: free for some steps, then within two tokens more than the shortest way needs."""
    text = b""
    for _ in range(steps):
        tokens = [token for token in allowed(matcher) if token not in matcher.vocab.eos_ids]
        if not tokens:
            break
        token = random.choice(tokens)
        assert matcher.accept(token)
        text += matcher.vocab.token_bytes(token)
    for left in range(matcher.min_tokens() + 3, 0, -1):
        tokens = allowed(matcher, left)
        assert tokens, f"dead end after {text!r} with {left} tokens to go"
        token = random.choice(tokens)
        assert matcher.accept(token)
        text += matcher.vocab.token_bytes(token)
        if matcher.is_finished():
            return text
    raise AssertionError(f"no end after {text!r}")


def check_walks(schema: Any, chosen: Modes, random: Random, count: int, walk: Walk) -> None:
    """What the masks let through is valid, and no mask is empty."""
    case = schema_case(schema, chosen)
    grammar = case.build(current_store())
    vocab = rich_vocabulary(case.words)[0] if random.random() < 0.5 else BYTES
    for _ in range(count):
        text = walk(Matcher(grammar, vocab), random, random.choice((1, 5, 25, 60)))
        if text is None:
            continue
        value = parse(text.decode())
        assert valid(schema, value), f"{text!r} under {schema} {chosen}"
        if chosen == Modes("any", "compact") and not re.search(rb"\d[.eE]", text):
            assert json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() == text


@settings(derandomize=True)
@given(json_schemas, st.sampled_from((Modes(), FREE, Modes("any", "compact"))), st.integers(0, 1 << 16))
def test_finished_walks_are_valid(schema: Any, chosen: Modes, seed: int) -> None:
    try:
        check_walks(schema, chosen, Random(seed), 4, finish)
    except (UnsatisfiableSchema, UnsupportedSchema, BudgetExceeded):
        assume(False)


@pytest.mark.parametrize("name", HARD_SCHEMAS)
@pytest.mark.parametrize("chosen", [Modes(), FREE, Modes("any", "compact")], ids=["default", "full", "compact"])
def test_finished_walks_of_hard_schemas_are_valid(name: str, chosen: Modes) -> None:
    if name in ("unique pattern", "unique short strings") and chosen.spelling == "any":
        pytest.skip("that the last free word is taken is seen too late where words have many spellings")
    check_walks(HARD_SCHEMAS[name], chosen, Random(name), 6, finish)
    check_walks(HARD_SCHEMAS[name], chosen, Random(name), 6, finish_in_time)


@pytest.mark.parametrize("pattern", ["^([a-z][0-9])+$", "(t|8){4}$", ".*"])
def test_the_end_of_a_long_pattern_is_reached_in_time(pattern: str) -> None:
    """Also where it is farther away than any token is long, hundreds of characters."""
    grammar = compile_json_schema({"type": "string", "pattern": pattern, "minLength": 300})
    for seed in range(3):
        text = finish_in_time(Matcher(grammar, BYTES), Random(seed), 7 * seed)
        assert len(text) >= 302 and re.search(pattern, json.loads(text))
