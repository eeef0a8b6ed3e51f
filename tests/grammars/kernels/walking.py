"""Walks of a matcher and the reference machine side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grammars import Grammar, Matcher, Vocabulary
from grammars.kernels.reference import Reference
from tests.strategies.grammars import Case, unpacked

Row = np.ndarray[Any, Any]


def mask_of(matcher: Matcher, budget: int | None = None) -> Row:
    """The packed mask, written over rubbish."""
    row = np.full(matcher.vocab.words, 0x5A5A5A5A, np.int32)
    matcher.fill_mask(row, budget)
    return row


class Oracle:
    """The reference's masks for one case and vocabulary."""

    def __init__(self, case: Case, vocab: Vocabulary, entries: Sequence[bytes | None]) -> None:
        self.machine = Reference(case.grammar().program)
        self.tokens = [entry or b"" for entry in entries]
        self.vocab = vocab

    def check(self, matcher: Matcher, text: bytes) -> list[int]:
        """Compare mask and acceptance after `text`, bit for bit; the allowed tokens."""
        state = self.machine.run(self.machine.start(), text)
        expected = self.machine.mask(state, self.tokens, self.vocab.eos_ids)
        found = unpacked(mask_of(matcher))
        assert not found[self.vocab.size :].any(), "bits behind the last logit are set"
        for token, (is_allowed, should_be) in enumerate(zip(found.tolist(), expected, strict=False)):
            if is_allowed != should_be:
                spelled = "EOS" if token in self.vocab.eos_ids else self.tokens[token]
                verdict = f"{'allows' if is_allowed else 'bans'} token {token} {spelled!r}"
                raise AssertionError(f"after {text!r} the kernel {verdict}, the reference does not")
        assert matcher.is_accepting() == self.machine.accepting(state)
        return [token for token, is_allowed in enumerate(expected) if is_allowed]


def walk(grammar: Grammar, vocab: Vocabulary, tokens: Sequence[int]) -> list[Row]:
    """The masks before each of some tokens and after the last."""
    matcher = Matcher(grammar, vocab)
    rows = [mask_of(matcher)]
    for token in tokens:
        assert matcher.accept(token)
        rows.append(mask_of(matcher))
    return rows
