"""What a constraint costs on a CUDA device: `python benchmarks/cuda.py --tokenizer FOLDER [--size 1b] [--batch 1,16]`

Three tables:

    masks      the mask of a step applied to scores [rows, 128k] on the device: our kernel (a masked copy) with the
               copy of the packed rows before it, and XGrammar's kernel in place where that is installed
    waits      calls that make the host wait for the device, and copies, per token, of plain and constrained `generate`
    generate   tokens a second of a Llama of that shape with random weights in bfloat16, constrained and plain, in
               turns, equal lengths. Weights do not change what a step costs

Random weights write nonsense, but valid nonsense: schemas that cannot end within the tokens are used.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from typing import Any

import torch

import guided

SHAPES = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
}
SCHEMAS: dict[str, Any] = {
    "records": {
        "type": "array",
        "minItems": 200,
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "maximum": 150},
                           "kind": {"enum": ["sailor", "carpenter", "gardener"]}},
            "required": ["name", "age", "kind"],
            "additionalProperties": False,
        },
    },
    "text": {"type": "string", "minLength": 4000},
}  # fmt: skip


def llama(shape: str, width: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=width, num_key_value_heads=8, max_position_embeddings=8192, eos_token_id=None,
                         bos_token_id=0, pad_token_id=0, tie_word_embeddings=True, **SHAPES[shape])  # fmt: skip
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).eval()
    torch.set_default_dtype(torch.float32)
    return model


def device_time(call: Any, repeat: int = 50) -> float:
    """Mean microseconds that the device works on kernels and copies of a call."""
    from torch.profiler import ProfilerActivity, profile

    for _ in range(20):
        call()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(repeat):
            call()
        torch.cuda.synchronize()
    return float(sum(event.self_device_time_total for event in profiled.key_averages()) / repeat)


def host_time(call: Any, repeat: int = 200) -> float:
    """Median microseconds until the host goes on, with an idle device."""
    found = []
    for _ in range(repeat):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return 1e6 * statistics.median(found)


def masks(width: int = 128256) -> None:
    from processors.kernels import Masker

    try:
        from xgrammar import apply_token_bitmask_inplace
    except ImportError:
        apply_token_bitmask_inplace = None
    print("microseconds on the device and on the host: rows copied and applied; a plain copy of scores; XGrammar")
    print("| rows | dtype | ours, device | ours, host | plain copy | XGrammar, device | XGrammar, host |")
    print("|---|---|---|---|---|---|---|")
    for rows in (1, 8, 64):
        for dtype in (torch.float32, torch.bfloat16):
            scores = torch.randn(rows, width, device="cuda").to(dtype)
            masker = Masker(rows, width, (width + 31) // 32)
            masker.rows[:] = 0x5A5A5A5A

            def ours(masker: Any = masker, scores: Any = scores) -> None:
                masker.before_writing()
                masker.apply(scores)

            bitmask = torch.full((rows, (width + 31) // 32), 0x5A5A5A5A, dtype=torch.int32).pin_memory()

            def theirs(scores: Any = scores, bitmask: Any = bitmask) -> None:
                apply_token_bitmask_inplace(scores, bitmask.to("cuda", non_blocking=True))

            cells = [device_time(ours), host_time(ours), device_time(scores.clone)]
            if apply_token_bitmask_inplace is not None:
                cells += [device_time(theirs), host_time(theirs)]
            name = str(dtype).removeprefix("torch.")
            print(f"| {rows} | {name} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |", flush=True)


def run(model: Any, inputs: Any, tokens: int, processors: Any) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    model.generate(**inputs, max_new_tokens=tokens, do_sample=False, logits_processor=processors or [])
    torch.cuda.synchronize()
    return time.perf_counter() - start


WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpyAsync", "cudaMemcpy")


def waits(model: Any, inputs: Any, made: dict[str, Any], tokens: int = 40) -> None:
    from torch.profiler import ProfilerActivity, profile

    print("\n| run | " + " | ".join(WAITS) + " | (calls a token)\n|---|" + "---|" * len(WAITS))
    for name, processors in made.items():
        run(model, inputs, tokens, processors)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
            run(model, inputs, tokens, processors)
        counts: Counter[str] = Counter()
        for event in profiled.key_averages():
            counts[event.key] += event.count
        print(f"| {name} | " + " | ".join(f"{counts[key] / tokens:.2f}" for key in WAITS) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--size", default="1b", choices=list(SHAPES))
    parser.add_argument("--batch", default="1,16")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="masks,waits,generate")
    options = parser.parse_args()
    from transformers import AutoTokenizer

    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    if "masks" in options.only:
        masks()
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    model = llama(options.size, len(tokenizer))
    ids = torch.randint(1000, 100_000, (1, 200), generator=torch.Generator().manual_seed(1)).cuda()
    made = {"plain": None}
    eos = tokenizer.eos_token_id
    for name, schema in SCHEMAS.items():
        made[name] = guided.json(schema, tokenizer=tokenizer, eos_ids=[eos])
    if "waits" in options.only:
        waits(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, made)
    if "generate" not in options.only:
        return
    print("\n| batch | run | tokens/s, median | time beside plain, median of pairs [quartiles] |\n|---|---|---|---|")
    for rows in map(int, options.batch.split(",")):
        inputs = {"input_ids": ids.repeat(rows, 1), "attention_mask": torch.ones_like(ids).repeat(rows, 1)}
        times: dict[str, list[float]] = {name: [] for name in made}
        for turn in range(options.rounds + 1):
            order = list(made) if turn % 2 else list(made)[::-1]
            for name in order:
                seconds = run(model, inputs, options.tokens, made[name])
                if turn:
                    times[name].append(seconds)
        for name, found in times.items():
            ratios = [ours / plain for ours, plain in zip(found, times["plain"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            speed = rows * options.tokens / statistics.median(found)
            print(f"| {rows} | {name} | {speed:.0f} | {middle:.3f} [{low:.3f}, {high:.3f}] |", flush=True)


if __name__ == "__main__":
    main()
