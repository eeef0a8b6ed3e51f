"""`LimitedMatcher`: a matcher whose text must come to a place within a number of tokens, as thinking must to its end.

An automaton over bytes cannot count tokens, and a budget of the whole text would not end its first part. So two
matchers go side by side: one follows the grammar, the other one, `part`, waits for the place and takes any text after
it. A token is allowed if the first allows it and the second can still come to the place in time, by the estimate that
budgets use; both sides know the single bytes of what is left to write there, so some token always remains.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from grammars.errors import BudgetExceeded
from grammars.matcher import Explanation, Int32, Matcher
from grammars.vocabulary import Vocabulary

__all__ = ["LimitedMatcher"]


class LimitedMatcher:
    """As `Matcher`, of `grammar`; after at most `limit` tokens the text begins with one of `part`.

    `part` is a grammar for some text and then anything (`compile_until(marker, rest=True)`), and every text of
    `grammar` begins with one of its first part. Errors: `BudgetExceeded` where `limit` is too small for any.
    """

    def __init__(self, grammar: Any, part: Any, limit: int, vocab: Vocabulary) -> None:
        self.grammar, self.limit = grammar, limit
        self._main, self._part = Matcher(grammar, vocab), Matcher(part, vocab)
        if (least := self._part.min_tokens()) > limit:
            raise BudgetExceeded("max_thinking_tokens", limit, least, "Its end alone takes as many tokens: give more.")

    @property
    def vocab(self) -> Vocabulary:
        """The vocabulary whose tokens are masked."""
        return self._main.vocab

    @property
    def n_tokens(self) -> int:
        """Tokens accepted so far, EOS included."""
        return self._main.n_tokens

    def is_accepting(self) -> bool:
        """Whether the text so far is complete and valid."""
        return self._main.is_accepting()

    def is_finished(self) -> bool:
        """Whether EOS was accepted."""
        return self._main.is_finished()

    def min_tokens(self) -> int:
        """Tokens that the shortest completion needs at most, EOS apart."""
        return self._main.min_tokens()

    def fill_mask(self, row: Int32, budget: int | None = None) -> None:
        """As `Matcher.fill_mask`, within the limit."""
        self._main.fill_mask(row, budget)
        if not self._part.is_accepting():
            timely = np.zeros_like(row)
            self._part.fill_mask(timely, budget=self.limit - self.n_tokens + 1)
            row &= timely

    def is_allowed(self, token: int) -> bool:
        """Whether the token may come next."""
        if token in self.vocab.eos_ids:
            return self._main.is_allowed(token)
        return self.count_valid((token,)) == 1

    def accept(self, token: int) -> bool:
        """Take a token. False: it is not allowed, and nothing has changed."""
        if not self._main.accept(token):
            return False
        return self._follow(self._part.accept(token))

    def accept_bytes(self, data: bytes) -> bool:
        """Take text as if it were one token. False: it is not allowed, and nothing has changed."""
        if not self._main.accept_bytes(data):
            return False
        return self._follow(self._part.accept_bytes(data))

    def _follow(self, taken: bool) -> bool:
        """Whether both have taken the token in time; else neither has."""
        if taken and (self._part.is_accepting() or self.n_tokens + self._part.min_tokens() <= self.limit):
            return True
        self._main.rollback(1)
        if taken:
            self._part.rollback(1)
        return False

    def rollback(self, n_tokens: int) -> None:
        """Take back the last `n_tokens` accepted tokens."""
        self._main.rollback(n_tokens)
        self._part.rollback(n_tokens)

    def reset(self) -> None:
        """Back to the start."""
        self.rollback(self.n_tokens)

    def copy(self) -> LimitedMatcher:
        """An independent matcher in the same state."""
        other = object.__new__(LimitedMatcher)
        other.grammar, other.limit = self.grammar, self.limit
        other._main, other._part = self._main.copy(), self._part.copy()
        return other

    def count_valid(self, tokens: Iterable[int]) -> int:
        """How many of the tokens are allowed in turn; the state is unchanged."""
        taken = 0
        for token in tokens:
            if not self.accept(int(token)):
                break
            taken += 1
        self.rollback(taken)
        return taken

    def forced_bytes(self) -> bytes:
        """The only possible continuation under the grammar, b"" if there is a choice."""
        return self._main.forced_bytes()

    def next_bytes(self) -> bytes:
        """The bytes that may come next under the grammar, ascending."""
        return self._main.next_bytes()

    def explain(self, token: int) -> Explanation:
        """Why a token is allowed or banned by the grammar."""
        return self._main.explain(token)

    def pointer(self) -> str:
        """As `Matcher.pointer`."""
        return self._main.pointer()
