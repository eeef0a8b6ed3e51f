"""What matchers of one grammar share: one thread at a time computes masks, and each vocabulary has its own costs."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from grammars import (
    BudgetExceeded,
    Grammar,
    Matcher,
    TokenizerError,
    Vocabulary,
    compile_json_schema,
    compile_regex,
    terminalmasks,
)
from grammars.kernels import layout as at
from grammars.kernels.masks import let_go, seize

BYTES = Vocabulary.from_bytes([bytes((b,)) for b in range(256)] + [b""], eos_ids=[256])
PATTERN = "a+b{2,5}[c-x]*"


def mask_of(matcher: Matcher) -> np.ndarray:
    row = np.zeros(BYTES.words, np.int32)
    matcher.fill_mask(row)
    return row


def in_a_thread(matcher: Matcher) -> tuple[threading.Thread, list[np.ndarray]]:
    found: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: found.append(mask_of(matcher)), daemon=True)
    thread.start()
    return thread, found


def new(text: bytes = b"") -> Matcher:
    """A matcher of a grammar whose masks nobody has asked for."""
    matcher = Matcher(compile_regex(PATTERN), BYTES)
    assert matcher.accept_bytes(text)
    matcher._binding.forget()
    return matcher


def test_a_new_mask_waits_while_another_thread_holds_the_rows() -> None:
    expected, matcher = mask_of(new(b"aab")), new(b"aab")
    with matcher._binding.alone:
        thread, found = in_a_thread(matcher)
        thread.join(0.05)
        assert thread.is_alive() and not found
    thread.join(10)
    assert not thread.is_alive() and (found[0] == expected).all()


def test_a_new_mask_waits_while_a_kernel_is_at_one_and_a_known_one_does_not() -> None:
    expected, matcher = mask_of(new(b"aab")), new(b"aab")
    alone = matcher._binding.alone
    assert seize(alone._word) == 0 and seize(alone._word) == 1
    thread, found = in_a_thread(matcher)
    thread.join(0.05)
    assert thread.is_alive() and not found
    let_go(alone._word)
    thread.join(10)
    assert (found[0] == expected).all()
    assert seize(alone._word) == 0
    assert (mask_of(matcher) == expected).all()
    let_go(alone._word)


def test_rows_are_not_forgotten_while_they_are_held() -> None:
    binding = new()._binding
    assert seize(binding.alone._word) == 0
    assert not binding.forget()
    let_go(binding.alone._word)
    assert binding.forget()
    refused: list[bool] = []
    with binding.alone:
        thread = threading.Thread(target=lambda: refused.append(binding.forget()))
        thread.start()
        thread.join()
        with binding.alone:  # again by the same thread
            assert binding.forget()
        assert binding._room[at.R_BUSY] == 1
    assert refused == [False] and binding._room[at.R_BUSY] == 0


def test_rows_are_free_again_after_a_mask_that_failed() -> None:
    vocab = Vocabulary.from_bytes([bytes((b,)) for b in range(256)] + [b'{"', b"", b'":'], eos_ids=[257])
    grammar = compile_json_schema({"required": ["kind"], "properties": {"kind": {"enum": ["one", "two"]}}})
    expected, row = np.zeros((2, vocab.words), np.int32)
    Matcher(grammar, vocab).fill_mask(expected)
    matcher = Matcher(grammar, vocab)
    matcher._binding.forget()
    template, fuel = matcher._binding.ctx, int(matcher._ctx[at.S_FUEL])
    template[at.S_FUEL] = -1
    matcher._attach()
    with pytest.raises(BudgetExceeded):
        for byte in b'{"kind":':
            matcher.fill_mask(row)
            assert matcher.accept_bytes(bytes((byte,)))
    assert matcher._binding._room[at.R_BUSY] == 0
    template[at.S_FUEL] = fuel
    matcher = Matcher(grammar, vocab)
    thread = threading.Thread(target=matcher.fill_mask, args=(row,), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and (row == expected).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork processes")
def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have() -> None:
    expected, matcher = mask_of(new(b"aab")), new(b"aab")
    alone = matcher._binding.alone
    assert seize(alone._word) == 0
    child = os.fork()
    if not child:
        os._exit(0 if (mask_of(matcher) == expected).all() else 1)
    latest = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < latest:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
    assert ended == (child, 0)
    assert seize(alone._word) == 1, "the parent's still hold them"
    let_go(alone._word)


def test_a_vocabulary_whose_trie_has_too_many_nodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    vocab = Vocabulary.from_bytes([bytes((b,)) for b in range(200)] + [b"too many", b""], eos_ids=[201])
    monkeypatch.setattr(terminalmasks, "_MOST_NODES", len(vocab.trie_byte) - 1)
    with pytest.raises(TokenizerError, match="208 beginnings, more than 207"):
        Matcher(compile_regex(PATTERN), vocab)
    monkeypatch.undo()
    Matcher(compile_regex(PATTERN), vocab)


def test_vocabularies_have_costs_of_their_own() -> None:
    """Of keys, objects and arrays: the cheaper ones of one vocabulary are not another one's."""
    item = {"type": "object", "required": ["dddd"], "properties": {"dddd": {"type": "integer"}}}
    schema = {
        "type": "object",
        "required": ["aaaaaa", "c"],
        "properties": {"aaaaaa": {"enum": ["bbbbb"]}, "c": {"type": "array", "minItems": 3, "items": item}},
        "additionalProperties": False,
    }
    text = b'{"aaaaaa":"bbbbb","c":[{"dddd":1},'
    long = [b'{"aaaaaa":', b'"bbbbb"', b'{"dddd":', b'"c":[']
    rich = Vocabulary.from_bytes([bytes((b,)) for b in range(256)] + long + [b""], eos_ids=[260])

    def costs(grammar: Grammar, vocab: Vocabulary) -> list[int]:
        matcher, found = Matcher(grammar, vocab), []
        for byte in text:
            found.append(matcher.min_tokens())
            assert matcher.accept_bytes(bytes((byte,)))
        return found

    first, second = (compile_json_schema({**schema, "title": title}) for title in ("first", "second"))
    alone = costs(first, BYTES)
    cheaper = costs(second, rich)
    assert cheaper != alone
    assert costs(first, rich) == cheaper and costs(second, BYTES) == alone
    assert costs(first, BYTES) == alone and costs(second, rich) == cheaper
