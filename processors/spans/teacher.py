"""`Teacher`: log-probabilities of given continuations of one prompt, teacher-forced, many in a batch.

The prompt runs once; its cache is copied for each batch. Continuations are padded on the right, where a causal model
does not look. Encoder-decoders: the prompt goes to the encoder, the continuations to the decoder.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch

from processors.errors import GenerationError

__all__ = ["Teacher"]


class Teacher:
    """Scores continuations of `inputs` (input_ids int64 [1, n], attention_mask), `batch` at a time.

    Errors: `GenerationError` when there is not exactly one prompt.
    """

    @torch.no_grad()
    def __init__(self, model: Any, inputs: Any, *, batch: int = 16) -> None:
        ids = torch.as_tensor(inputs["input_ids"])
        if ids.dim() != 2 or len(ids) != 1 or ids.shape[1] == 0:
            raise GenerationError(f"input_ids have shape {tuple(ids.shape)}", "Give one prompt, int64 [1, length].")
        self.model, self.batch = model, batch
        self.forwards = 0
        self._device = model.get_input_embeddings().weight.device
        given = inputs.get("attention_mask")
        mask = torch.ones_like(ids) if given is None else torch.as_tensor(given)
        accepted = inspect.signature(model.forward).parameters
        self._encodes = bool(getattr(model.config, "is_encoder_decoder", False))
        self._cache_name = "cache" if "cache" in accepted else "past_key_values"
        self._mask, self._positions = mask.to(self._device), "position_ids" in accepted
        if self._encodes:
            self._encoded = model.get_encoder()(input_ids=ids.to(self._device), attention_mask=self._mask)
            start = model.generation_config.decoder_start_token_id
            self._start = model.config.decoder_start_token_id if start is None else start
        else:
            self._run_prompt(ids.to(self._device))

    def _run_prompt(self, ids: torch.Tensor) -> None:
        from transformers import DynamicCache

        self._cache: Any = DynamicCache(config=self.model.config)
        out = self._forward(ids, self._mask, self._cache)
        self._first = out[:, -1:]

    def _forward(self, tokens: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Log-probabilities float32 [rows, tokens, V] after each of the tokens."""
        options: dict[str, Any] = {self._cache_name: cache, "attention_mask": mask, "use_cache": True}
        if self._positions:
            options["position_ids"] = (mask.cumsum(dim=1) - 1).clamp_min(0)[:, -tokens.shape[1] :]
        self.forwards += 1
        logits: torch.Tensor = self.model(input_ids=tokens, **options).logits
        return logits.float().log_softmax(dim=-1)

    @torch.no_grad()
    def score(
        self, texts: Sequence[Sequence[int]], watched: Sequence[int] = ()
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """For each text of n ids: ln p of each of them, float64 [n], and after 0..n of them ln of the summed
        probability of the `watched` ids, float64 [n + 1]."""
        token: list[torch.Tensor] = []
        after: list[torch.Tensor] = []
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # equal lengths together: less padding
        found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        watch = torch.tensor(list(watched), dtype=torch.long, device=self._device)
        for at in range(0, len(order), self.batch):
            part = order[at : at + self.batch]
            logp = self._batch([list(texts[i]) for i in part])
            for row, i in enumerate(part):
                n = len(texts[i])
                ids = torch.tensor(list(texts[i]), dtype=torch.long, device=self._device)
                own = logp[row, :n].gather(1, ids[:, None])[:, 0]
                ends = logp[row, : n + 1][:, watch].double().logsumexp(dim=-1) if len(watch) else own.new_empty(0)
                found[i] = (own.double().cpu(), ends.double().cpu())
        for i in range(len(texts)):
            token.append(found[i][0])
            after.append(found[i][1])
        return token, after

    def _batch(self, texts: list[list[int]]) -> torch.Tensor:
        """Log-probabilities [texts, longest + 1, V]: before the first id, and after each."""
        longest = max(map(len, texts))
        tokens = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=self._device)
        if self._encodes:
            return self._decode(tokens.long())
        first = self._first.expand(len(texts), -1, -1)
        if longest == 0:
            return first
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(len(texts))
        mask = self._mask.expand(len(texts), -1)
        mask = torch.cat([mask, mask.new_ones(tokens.shape)], dim=1)
        return torch.cat([first, self._forward(tokens, mask, cache)], dim=1)

    def _decode(self, tokens: torch.Tensor) -> torch.Tensor:
        from transformers.modeling_outputs import BaseModelOutput

        count = len(tokens)
        start = torch.full((count, 1), self._start, dtype=torch.long, device=self._device)
        self.forwards += 1
        logits: torch.Tensor = self.model(
            encoder_outputs=BaseModelOutput(self._encoded.last_hidden_state.expand(count, -1, -1)),
            attention_mask=self._mask.expand(count, -1),
            decoder_input_ids=torch.cat([start, tokens], dim=1),
            use_cache=False,
        ).logits
        return logits.float().log_softmax(dim=-1)
