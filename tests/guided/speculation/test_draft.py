"""Drafts as trees, and what is cut from them."""

from __future__ import annotations

import torch

from guided.speculation.draft import Draft, Draws
from guided.speculation.trim import trim
from tests.processors.toys import EOS, Lists, ToyMatcher, toy_vocabulary

VOCABULARY = toy_vocabulary()
ID = {VOCABULARY.token_bytes(token): token for token in range(VOCABULARY.size) if VOCABULARY.token_bytes(token)}


def test_equal_tokens_share_a_node() -> None:
    draft = Draft(0)
    draft.chain(0, [1, 2, 3], "a")
    draft.chain(0, [1, 2, 4], "b")
    assert draft.tokens == [0, 1, 2, 3, 4]
    assert draft.parents == [-1, 0, 1, 2, 2]
    assert draft.sources == ["", "a", "a", "a", "b"]
    assert draft.path(4) == [1, 2, 4]
    assert not draft.is_chain()
    assert draft.first_path().tokens == [0, 1, 2, 3]


def test_room_and_depth_are_kept() -> None:
    draft = Draft(0, room=3, depth_limit=2)
    assert draft.chain(0, [1, 2, 3], "a") == 2
    assert draft.add(0, 9, "a") == 3
    assert draft.add(0, 8, "a") == -1
    assert draft.left == 0


def test_what_the_constraint_forbids_is_cut_with_all_below() -> None:
    matcher = ToyMatcher(Lists(), VOCABULARY)
    matcher.accept(ID[b"["])
    draft = Draft(ID[b"["])
    draft.chain(0, [ID[b"1"], ID[b"["], ID[b"2"]], "a")  # a bracket cannot follow a digit
    draft.chain(0, [ID[b"["], ID[b"12"], ID[b"]]"]], "b")
    draft.chain(0, [ID[b"]"], EOS, ID[b"1"]], "c")
    draft.draws[0] = Draws("recursive", torch.ones(64) / 64, [ID[b"a"]])
    cut = trim(draft, matcher, {EOS}, 64)
    assert sorted(cut.path(node) for node in range(1, len(cut))) == sorted(
        [[ID[b"1"]], [ID[b"["]], [ID[b"["], ID[b"12"]], [ID[b"["], ID[b"12"], ID[b"]]"]], [ID[b"]"]]]
    )
    assert cut.draws[0].tokens == [ID[b"a"]]  # what was drawn is not hidden from the verifier
    assert matcher.texts[-1] == b"["


def test_ids_beyond_the_scores_are_cut() -> None:
    draft = Draft(0)
    draft.chain(0, [5, 70, 6], "a")
    assert trim(draft, None, set(), 64).tokens == [0, 5]
