"""Heads on disk: one safetensors file with the weights, the draft vocabulary, and the config as metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grammars.errors import GuidedError
from guided.drafters.heads.modules import DraftHeads, HeadsConfig, make_heads

__all__ = ["HeadsFileError", "load_heads", "save_heads"]

_FORMAT = "guided-draft-heads-1"


class HeadsFileError(GuidedError):
    """A file that holds no draft heads."""


def save_heads(heads: DraftHeads, path: str | Path, **notes: Any) -> None:
    """Write `heads`; `notes` (numbers, strings) are kept beside the config, for whoever reads the file later."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in heads.state_dict().items()}
    metadata = {"format": _FORMAT, "config": json.dumps(heads.config.as_dict()), "notes": json.dumps(notes)}
    save_file(tensors, str(path), metadata=metadata)


def load_heads(path: str | Path, model: Any = None) -> DraftHeads:
    """Heads as they were saved, in evaluation mode; bound to `model` if given.

    Errors: `HeadsFileError` for a file that is none of ours; `ValueError` when they belong to another model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise HeadsFileError(f"{path} holds no draft heads of this version (format {_FORMAT})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise HeadsFileError(f"cannot read draft heads from {path}: {error}") from error
    heads = make_heads(HeadsConfig(**json.loads(metadata["config"])), tensors["vocabulary"])
    heads.load_state_dict(tensors)
    heads.eval().requires_grad_(False)
    return heads if model is None else heads.bind(model)
