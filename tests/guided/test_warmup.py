"""`guided warmup` on a new machine: nothing is compiled by any generation after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# what `generate` does in its several ways; prints what numba compiled, and ends at once if a kernel is compiled
GENERATE = """
import sys
from numba.core import event
import grammars.kernels.machinecode as machinecode
class Seen(event.Listener):
    names = []
    def on_start(self, told): self.names.append(str(told.data["dispatcher"]))
    def on_end(self, told): pass
event.register("numba:compile", Seen())
machinecode._make = lambda group: sys.exit("compiles " + group)
import numpy as np, torch, guided
from transformers import LlamaConfig, LlamaForCausalLM
vocabulary = guided.Vocabulary.from_bytes([*(bytes([b]) for b in range(256)), None], eos_ids=[256])
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=257, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
    num_attention_heads=2, eos_token_id=256, pad_token_id=256))
inputs = {"input_ids": torch.tensor([[1, 2, 3], [3, 4, 5]]), "attention_mask": torch.ones(2, 3, dtype=torch.int64)}
schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "maxLength": 5},
    "b": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "maxItems": 4}}}
for more in ({}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}):
    processors = guided.json(schema, tokenizer=vocabulary)
    model.generate(**inputs, max_new_tokens=9, logits_processor=processors, **more)
for dtype in (torch.bfloat16, torch.float16, torch.float32):
    processors = guided.json(schema, tokenizer=vocabulary, max_new_tokens=9)
    model.to(dtype).generate(**inputs, max_new_tokens=9, logits_processor=processors)
guided.generate(model, inputs, constraint=guided.json(schema, tokenizer=vocabulary), max_new_tokens=9)
matchers = [guided.Matcher(guided.compile_json_schema(schema), vocabulary) for _ in range(4)]
guided.fill_masks(matchers, np.zeros((4, vocabulary.words), np.int32), threads=2)
guided.Matcher(guided.compile_lark('start: "a" start | "b"'), vocabulary).forced_bytes()
print("compiled", *Seen.names)
"""


def test_after_warmup_nothing_is_compiled(tmp_path: Path) -> None:
    from grammars.kernels.choice import NUMBA

    if NUMBA:
        pytest.skip("numba compiles the kernels: each at its first call (GUIDED_KERNELS, or an llvmlite before 0.45)")
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": root}
    subprocess.run([sys.executable, "-m", "guided", "warmup"], env=env, check=True, timeout=300, capture_output=True)
    done = subprocess.run([sys.executable, "-c", GENERATE], env=env, text=True, timeout=300, capture_output=True)
    assert (done.returncode, done.stdout.split()) == (0, ["compiled"]), done.stderr[-500:]
