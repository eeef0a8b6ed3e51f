"""Whatever happens to the rows between two calls, each one stands where a replay of its ids stands."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.kernels.sources import common_prefix, find_sources
from processors.prefix import EXTENDS, FOREIGN, LEAPS, REVISITS, Cursor, Generation
from tests.processors.toys import EOS, PAD, TEXTS, WIDTH, Language, Lists, ToyMatcher, Words, toy_vocabulary

VOCABULARY = toy_vocabulary()
LANGUAGES: list[Language] = [Lists(3), Words((b"abc", b"abcab", b"cab", b"1", b"12"))]
TOKENS = [EOS, PAD, *range(6, 6 + len(TEXTS)), 63, 64, 1000]


@given(st.data())
def test_common_prefix_is_that_of_a_loop(data: st.DataObject) -> None:
    length = data.draw(st.sampled_from([0, 1, 2, 63, 64, 65, 127, 128, 129, 300]))
    a = np.arange(length, dtype=np.int64)
    b = a.copy()
    for place in data.draw(st.lists(st.integers(0, max(0, length - 1)), max_size=2)) if length else []:
        b[place] = -7
    limit = data.draw(st.integers(0, length))
    expected = 0
    while expected < limit and a[expected] == b[expected]:
        expected += 1
    assert common_prefix(a, b, limit) == expected


@given(st.data())
def test_sources_are_the_best_of_their_block(data: st.DataObject) -> None:
    """Every row gets a row of its own block that leaves at most one new id, or else the longest match there."""
    blocks = data.draw(st.integers(1, 3))
    size, known_size = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    draw_ids = st.lists(st.integers(0, 1), min_size=6, max_size=6)
    known = np.array([data.draw(draw_ids) for _ in range(blocks * known_size)], dtype=np.int64)
    length, known_length = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    ids = np.array([data.draw(draw_ids)[:length] for _ in range(blocks * size)], dtype=np.int64)
    source, common = np.empty(len(ids), np.int64), np.empty(len(ids), np.int64)
    found = find_sources(ids, known, known_length, blocks, source, common)
    limit = min(length, known_length)
    for r, row in enumerate(ids):
        block = range((r // size) * known_size, (r // size + 1) * known_size)
        shared = {s: common_prefix(row, known[s], limit) for s in block}
        assert source[r] in block and common[r] == shared[source[r]]
        assert common[r] == max(shared.values()) or common[r] >= min(limit, length - 1)
    assert found >> 1 == common.min()
    assert bool(found & 1) == (size == known_size and source.tolist() == list(range(len(ids))))


def replay(language: Any, ids: list[int]) -> tuple[int, bytes]:
    """Legal length and text after ids, by a matcher that never goes back."""
    matcher, legal = ToyMatcher(language, VOCABULARY), 0
    for token in ids:
        if not (0 <= token < WIDTH and matcher.accept(token)):
            break
        legal += 1
    return legal, matcher.texts[-1]


@given(st.data())
def test_rows_stand_where_a_replay_stands(data: st.DataObject) -> None:
    """Extended by legal and illegal ids, cut, permuted, duplicated, dropped, visited again."""
    blocks = data.draw(st.sampled_from([1, 2]))
    expand = data.draw(st.integers(1, 3))
    prompt_length = data.draw(st.sampled_from([0, 1, 5]))
    prompts = [[7 + block] * prompt_length for block in range(blocks)]
    owners = [LANGUAGES[block] for block in range(blocks) for _ in range(expand)]
    rows = [[*prompts[r // expand]] for r in range(blocks * expand)]
    cursors = [Cursor(ToyMatcher(language, VOCABULARY), WIDTH) for language in owners]
    generation = Generation(np.array(rows, dtype=np.int64).reshape(len(rows), prompt_length), cursors, blocks)
    for _ in range(data.draw(st.integers(1, 12))):
        step = data.draw(st.sampled_from(["extend", "extend", "legal", "legal", "cut", "again", "permute"]))
        if step == "permute":
            rows = [rows[(r // expand) * expand + data.draw(st.integers(0, expand - 1))] for r in range(len(rows))]
        if step in ("extend", "permute"):
            rows = [[*row, data.draw(st.sampled_from(TOKENS))] for row in rows]
        elif step == "legal":
            for r, row in enumerate(rows):
                written = row[prompt_length:]
                options = [t for t in TOKENS if replay(owners[r], [*written, t])[0] > len(written)] or [PAD]
                rows[r] = [*row, data.draw(st.sampled_from(options))]
        elif step == "cut":
            keep = data.draw(st.integers(prompt_length, len(rows[0])))
            rows = [row[:keep] for row in rows]
        ids = np.array(rows, dtype=np.int64).reshape(len(rows), -1)
        follow(generation, ids)
        assert generation.generated == ids.shape[1] - prompt_length
        for r, (row, cursor) in enumerate(zip(rows, generation.cursors, strict=True)):
            assert cursor is not None
            assert (cursor.legal, cursor.matcher.texts[-1]) == replay(owners[r], row[prompt_length:])  # type: ignore[attr-defined]
        matchers = [id(cursor.matcher) for cursor in generation.cursors if cursor is not None]
        assert len(set(matchers)) == len(matchers)


def follow(generation: Generation, ids: Any) -> None:
    assert generation.compare(ids) >= REVISITS
    generation.follow(ids)


def generation_after(prompt: list[int], written: list[int]) -> Generation:
    language = Lists(3)
    generation = Generation(np.array([prompt]), [Cursor(ToyMatcher(language, VOCABULARY), WIDTH)])
    for n in range(len(written)):
        follow(generation, np.array([prompt + written[: n + 1]]))
    return generation


def test_what_cannot_be_the_next_call_is_refused() -> None:
    """Another prompt, an illegal jump, a shorter prompt: the generation is left as it was."""
    prompt, written = [2, 20, 21], [6, 9, 7]
    for other in ([2, 20, 22], [2, 20], [2, 20, 21, 6, 9, 7, 1, 20], [2, 20, 21, 9, 6], [3, 20, 21, 6, 9, 7, 1]):
        generation = generation_after(prompt, written)
        assert generation.compare(np.array([other])) == FOREIGN
        assert generation.length == 6
        assert generation.compare(np.array([[*prompt, *written, 1]])) == EXTENDS
        assert generation.compare(np.array([[*prompt, *written[:1], 8]])) == REVISITS


def test_several_legal_ids_at_once() -> None:
    """An own loop that writes forced text: also after going back, but only where every row can go."""
    prompt, written = [2, 20, 21], [6, 9]
    for other in ([6, 9, 9, 7], [6, 9, 8, 10, 7, 1], [6, 6, 7, 7, 1]):
        generation = generation_after(prompt, written)
        ids = np.array([[*prompt, *other]])
        assert generation.compare(ids) == LEAPS
        generation.follow(ids)
        assert generation.cursors[0] is not None and generation.cursors[0].legal == len(other)


def test_rows_may_be_dropped_and_added() -> None:
    """Own loops that take finished rows out of the batch, as long as one constraint serves all."""
    language = Lists(3)
    cursors = [Cursor(ToyMatcher(language, VOCABULARY), WIDTH) for _ in range(3)]
    generation = Generation(np.array([[2, 20 + r] for r in range(3)]), cursors)
    follow(generation, np.array([[2, 20 + r, 6] for r in range(3)]))
    follow(generation, np.array([[2, 22, 6, 9], [2, 20, 6, 7]]))
    assert [c.matcher.texts[-1] for c in generation.cursors if c] == [b"[0", b"[]"]  # type: ignore[attr-defined]
    follow(generation, np.array([[2, 22, 6, 9], [2, 22, 6, 9], [2, 20, 6, 7], [2, 22, 6, 10]]))


def test_ids_grow_beyond_the_first_room() -> None:
    generation = generation_after([2], [])
    sequence = [2]
    for _ in range(600):
        sequence = [*sequence, 9]
        follow(generation, np.array([sequence]))
    assert generation.generated == 600 and generation.cursors[0] is not None and generation.cursors[0].legal == 0
