"""`Jacobi`: a window of guesses that every pass improves (speculative Jacobi decoding; Teng et al. 2024).

Each pass gives, for each guess of the window, the model's distribution at that place *under the guesses before it*. The
part of the window that verification refuses is drawn anew from those distributions, and is the next draft, each token
with the distribution that it was drawn from. The window is filled up at its end with tokens that stood in the text
before. Greedy decoding takes the best tokens instead: plain Jacobi iteration (Santilli et al. 2023).
"""

from __future__ import annotations

import torch

from guided.drafters.lookup import Index
from guided.speculation.draft import Draft, Draws, Seen, Session, Setup, View

__all__ = ["Jacobi"]


class Jacobi:
    """A window of `window` tokens."""

    needs = frozenset({"logits"})
    name = "jacobi"

    def __init__(self, window: int = 8) -> None:
        if window < 1:
            raise ValueError("a Jacobi window holds at least one token")
        self.window = window

    def start(self, setup: Setup) -> Session:
        return _Jacobi(self, setup)


class _Jacobi:
    def __init__(self, owner: Jacobi, setup: Setup) -> None:
        self._owner, self._setup = owner, setup
        self._guesses: list[tuple[int, torch.Tensor | None]] = []  # tokens; what they were drawn from, None: copied
        self._index = Index(2, 1)

    def propose(self, view: View, draft: Draft, node: int) -> None:
        guesses = self._guesses if view.committed == len(view.ids) else []  # forced text has moved the window
        self._index.grow(view.ids[: view.committed])
        ids = [*view.ids, *(token for token, _ in guesses)]
        window = list(guesses)
        while len(window) < self._owner.window:
            places = self._index.find(ids)
            token = ids[places[0][0]] if places else ids[-1]
            window.append((token, None))
            ids.append(token)
        for token, q in window:
            if q is not None:
                draft.draws[node] = Draws("recursive", q, [token])
            node = draft.add(node, token, self._owner.name)
            if node < 0:
                return

    def observe(self, seen: Seen) -> None:
        """Draw the rest of the window again, from what the model thinks now."""
        self._guesses = []
        if seen.logits is None:
            return
        accepted = seen.path[-1] if seen.path else 0
        rest = seen.logits[accepted + 1 :, : self._setup.width]  # node i's scores speak of the place after it
        if not len(rest) or not seen.draft.is_chain():
            return
        if self._setup.temperature == 0:
            self._guesses = [(token, None) for token in rest.argmax(-1).tolist()]
            return
        q = torch.softmax(rest.float() / self._setup.temperature, -1)
        tokens = torch.multinomial(q, 1)[:, 0].tolist()
        self._guesses = list(zip(tokens, q, strict=True))
