"""Draft heads: small networks that guess the next tokens from the model's last hidden state.

One interface for all of them. `begin` makes a state from the hidden state h [B, d] whose logits chose the last
committed token; `step` takes the token that was chosen (or drafted) last and gives logits over the draft vocabulary for
the one after it, with the state to go on from. Rows are independent: all nodes of a level of a tree are one call.

    h --begin--> state --step(c1)--> logits for c2, state --step(c2)--> logits for c3, state ...

medusa   h alone: the k-th step has a residual block of its own and ignores the tokens.
         Cai et al. (2024), arXiv 2401.10774
hydra    the k-th step reads h and the embeddings of all tokens drafted so far: sequentially dependent heads.
         Ankner et al. (2024), arXiv 2402.05109; here with a bottleneck in place of wide blocks
feature  one cell that is applied again and again, carrying a guess of the next hidden state. It gates the state with
         the embedding of the token in a wider space, and only the first half of the guess is aligned with the target's
         own hidden state; the rest is free to serve the logits. Gui et al. (2024), "Boosting Lossless Speculative
         Decoding via Feature Sampling and Partial Alignment Distillation", arXiv 2408.15562; here without attention, a
         recurrent cell as in Clover-2

The output matrix is the model's own, frozen, and restricted to a draft vocabulary (the tokens that the model writes
most often): 49,152 rows would cost more than the rest of a head. A token outside it is never drafted; that costs speed
and nothing else. With `rank` the restricted matrix is replaced by a trained product of two thin ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["DraftHeads", "FeatureHeads", "HeadsConfig", "HydraHeads", "MedusaHeads", "make_heads"]

Kind = Literal["medusa", "hydra", "feature"]
State = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class HeadsConfig:
    """What a set of heads is: `depth` trained steps, `width` of the inner layers, `rank` (0: the frozen matrix)."""

    kind: Kind
    hidden_size: int
    depth: int = 4
    width: int = 512
    rank: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("medusa", "hydra", "feature"):
            raise ValueError(f'kind={self.kind!r} is unknown: "medusa", "hydra" or "feature"')
        if min(self.hidden_size, self.depth, self.width) < 1 or self.rank < 0:
            raise ValueError("hidden_size, depth and width are at least 1, rank at least 0")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class DraftHeads(nn.Module):
    """What all heads share: the draft vocabulary and the output matrix; `bind` connects them to a model.

    vocabulary  int64 [D]: token ids that can be drafted, most frequent first
    places      int64 [V]: their place in `vocabulary`, -1 for all others (after `bind`)
    """

    vocabulary: torch.Tensor
    places: torch.Tensor

    def __init__(self, config: HeadsConfig, vocabulary: torch.Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("vocabulary", vocabulary.long())
        self.register_buffer("places", torch.empty(0, dtype=torch.int64), persistent=False)
        self._frozen: dict[str, torch.Tensor] = {}  # the model's, not saved with the heads
        self.bias = nn.Parameter(torch.zeros(len(vocabulary)))
        if config.rank:
            self.outer = nn.Parameter(torch.zeros(len(vocabulary), config.rank))
            self.inner = nn.Parameter(torch.zeros(config.rank, config.hidden_size))

    @property
    def steps(self) -> int | None:
        """Steps that may be taken; None: any number."""
        return self.config.depth

    def bind(self, model: Any, *, fresh: bool = False) -> DraftHeads:
        """Take embeddings and output matrix from `model`; `fresh` heads get their thin matrices from it as well.

        Errors: `ValueError` when the model's hidden states have another width.
        """
        embeddings = model.get_input_embeddings().weight.detach().float()
        output = model.get_output_embeddings().weight.detach().float()
        if embeddings.shape[1] != self.config.hidden_size or int(self.vocabulary.max()) >= output.shape[0]:
            raise ValueError(
                f"these heads were trained for hidden states of {self.config.hidden_size}, the model has "
                f"{embeddings.shape[1]} (vocabulary {output.shape[0]}): they belong to another model"
            )
        rows = output[self.vocabulary]
        scale = embeddings.square().mean().sqrt()
        self._frozen = {"embeddings": embeddings, "output": rows.contiguous(), "scale": scale}
        self.places = torch.full((output.shape[0],), -1, dtype=torch.int64)
        self.places[self.vocabulary] = torch.arange(len(self.vocabulary))
        if self.config.rank and fresh:
            left, values, right = torch.linalg.svd(rows, full_matrices=False)
            root = values[: self.config.rank].sqrt()
            with torch.no_grad():
                self.outer.copy_(left[:, : self.config.rank] * root)
                self.inner.copy_(root[:, None] * right[: self.config.rank])
        return self

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """The model's input embeddings of tokens [B], scaled to about 1: [B, d]."""
        return self._frozen["embeddings"][tokens] / self._frozen["scale"]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[B, d] -> [B, D]."""
        if self.config.rank:
            return F.linear(F.linear(hidden, self.inner), self.outer, self.bias)
        return F.linear(hidden, self._frozen["output"], self.bias)

    def begin(self, hidden: torch.Tensor) -> State:
        """The state before the first step, from hidden [B, d]."""
        return (hidden.float(),)

    def step(self, state: State, tokens: torch.Tensor, number: int) -> tuple[torch.Tensor, State]:
        """Logits [B, D] of what follows `tokens` [B], the `number`-th (from 0) since `begin`; and the next state."""
        raise NotImplementedError

    def unroll(self, hidden: torch.Tensor, tokens: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Logits of all steps along given tokens [B, K] (teacher forcing), and the states' first tensors."""
        state, logits, states = self.begin(hidden), [], []
        for number in range(tokens.shape[1]):
            out, state = self.step(state, tokens[:, number], number)
            logits.append(out)
            states.append(state[0])
        return logits, states


class MedusaHeads(DraftHeads):
    """z_k = h + SiLU(W_k h), W_k = 0 at first."""

    def __init__(self, config: HeadsConfig, vocabulary: torch.Tensor) -> None:
        super().__init__(config, vocabulary)
        size = config.hidden_size
        self.blocks = nn.ModuleList(nn.Linear(size, size) for _ in range(config.depth))
        for block in self.blocks:
            nn.init.zeros_(block.weight)  # type: ignore[arg-type]
            nn.init.zeros_(block.bias)  # type: ignore[arg-type]

    def step(self, state: State, tokens: torch.Tensor, number: int) -> tuple[torch.Tensor, State]:
        (hidden,) = state
        return self.logits(hidden + F.silu(self.blocks[number](hidden))), state


class HydraHeads(DraftHeads):
    """z_k = a_k * h + B_k SiLU(A_k [h; e(c_1); ...; e(c_k)]); each depth has blocks of its own.

    a_k and B_k are 0 at first: h itself votes for c_1, loudly, and unlearning that would take most of a short training.
    """

    def __init__(self, config: HeadsConfig, vocabulary: torch.Tensor) -> None:
        super().__init__(config, vocabulary)
        size, width = config.hidden_size, config.width
        self.down = nn.ModuleList(nn.Linear((2 + k) * size, width) for k in range(config.depth))
        self.up = nn.ModuleList(nn.Linear(width, size) for _ in range(config.depth))
        self.keep = nn.Parameter(torch.zeros(config.depth, size))
        for block in self.up:
            nn.init.zeros_(block.weight)  # type: ignore[arg-type]
            nn.init.zeros_(block.bias)  # type: ignore[arg-type]

    def begin(self, hidden: torch.Tensor) -> State:
        hidden = hidden.float()
        return hidden, _normal(hidden)  # the second grows by an embedding a step

    def step(self, state: State, tokens: torch.Tensor, number: int) -> tuple[torch.Tensor, State]:
        hidden, read = state
        read = torch.cat([read, self.embed(tokens)], dim=-1)
        guess = self.keep[number] * hidden + self.up[number](F.silu(self.down[number](read)))
        return self.logits(guess), (hidden, read)


class FeatureHeads(DraftHeads):
    """f' = a * f + C SiLU(A [f; e; SiLU(P f) * (Q e)]): one cell for all steps, unrolled on its own guesses.

    a and C are 0 at first, for the same reason as in `HydraHeads`.
    """

    def __init__(self, config: HeadsConfig, vocabulary: torch.Tensor) -> None:
        super().__init__(config, vocabulary)
        size, width = config.hidden_size, config.width
        self.gate, self.value = nn.Linear(size, width), nn.Linear(size, width)
        self.mix = nn.Linear(2 * size + width, width)
        self.out = nn.Linear(width, size)
        self.keep = nn.Parameter(torch.zeros(size))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    @property
    def steps(self) -> int | None:
        return None

    def step(self, state: State, tokens: torch.Tensor, number: int) -> tuple[torch.Tensor, State]:
        (feature,) = state
        read, embedding = _normal(feature), self.embed(tokens)
        gated = F.silu(self.gate(read)) * self.value(embedding)
        feature = self.keep * feature + self.out(F.silu(self.mix(torch.cat([read, embedding, gated], dim=-1))))
        return self.logits(feature), (feature,)


def _normal(hidden: torch.Tensor) -> torch.Tensor:
    """Rows scaled to a mean square of 1."""
    return hidden * hidden.square().mean(-1, keepdim=True).clamp(min=1e-6).rsqrt()


_KINDS: dict[str, type[DraftHeads]] = {"medusa": MedusaHeads, "hydra": HydraHeads, "feature": FeatureHeads}


def make_heads(config: HeadsConfig, vocabulary: torch.Tensor) -> DraftHeads:
    """Untrained heads of `config.kind`."""
    return _KINDS[config.kind](config, vocabulary)
