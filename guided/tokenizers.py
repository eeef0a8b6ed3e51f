"""Whose tokens are masked: the tokenizer given, or the process-wide default, and what ends a text.

A model often ends on more ids than its tokenizer names (Llama 3.1: three against one), and `generate` does not tell its
processors. So: `eos_ids=` if given, else those of `model.generation_config`, else the tokenizer's.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable
from typing import Any

from grammars.errors import TokenizerError
from grammars.vocabulary import Vocabulary

__all__ = ["resolve_vocabulary", "tokenizer_of", "use_tokenizer"]

EosIds = int | Iterable[int] | None

_default: dict[str, Any] = {}
_tokenizers: dict[str, Any] = {}  # vocabulary's fingerprint -> weak reference to the tokenizer it was read from


def use_tokenizer(tokenizer: Any, *, model: Any = None, eos_ids: EosIds = None) -> None:
    """Make `tokenizer` the default of every constraint made from now on, in this process.

    `model` or `eos_ids` say what ends a text, as in `guided.json`. None instead of a tokenizer takes the default back.
    The vocabulary is read now: 0.3 s for 128k tokens the first time, less from the disk's cache.

    Errors: `TokenizerError` when the bytes of the tokens cannot be determined.
    """
    _default.clear()
    if tokenizer is not None:
        _default["vocabulary"] = resolve_vocabulary(tokenizer, model, eos_ids)
        _default["tokenizer"] = tokenizer


def default_tokenizer() -> Any:
    """What `use_tokenizer` was given, None without one."""
    return _default.get("tokenizer")


def resolve_vocabulary(tokenizer: Any = None, model: Any = None, eos_ids: EosIds = None) -> Vocabulary:
    """The vocabulary of a tokenizer (a `Vocabulary` is taken as it is), or of the default one."""
    if isinstance(tokenizer, Vocabulary):
        return tokenizer
    if tokenizer is None:
        if (default := _default.get("vocabulary")) is not None:
            return default  # type: ignore[no-any-return]
        raise TokenizerError(
            "no tokenizer: a constraint masks tokens, so it must know what each of them writes",
            "Pass tokenizer=..., or call guided.use_tokenizer(tokenizer) once.",
        )
    if eos_ids is None and model is not None:
        eos_ids = _eos_of(model)
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_ids=eos_ids, size=_width_of(model))
    with contextlib.suppress(TypeError):
        _tokenizers[vocabulary.fingerprint] = weakref.ref(tokenizer)
    return vocabulary


def tokenizer_of(vocabulary: Any) -> Any:
    """The tokenizer that a vocabulary was last read from, None if it is gone or there was none."""
    found = _tokenizers.get(getattr(vocabulary, "fingerprint", ""))
    return None if found is None else found()


def _eos_of(model: Any) -> EosIds:
    for config in (getattr(model, "generation_config", None), getattr(model, "config", None)):
        found = getattr(config, "eos_token_id", None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return None


def _width_of(model: Any) -> int | None:
    """Width of the model's logits; without a model it is learnt from the first scores."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    weight = getattr(head, "weight", None)
    return None if weight is None else int(weight.shape[0])
