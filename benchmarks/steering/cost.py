"""What steering costs beside its forward passes.

    python benchmarks/steering/cost.py [--limit TOKENS] [--only 'cad;dola (3 layers)'] [--out FILE]

In one run, in CPU time: the time inside a processor, the time of its forward calls within that, and the rest, which is
arithmetic, look-up of prefixes and caches. The rest is given as a share of the model's step and the passes.
"""

from __future__ import annotations

import json
import time
from typing import Any

import torch
from common import arguments, chat_ids, load

import guided
from processors.forward import passes
from processors.forward.lens import LogitLens


class Clock:
    """Seconds within a function, summed up."""

    def __init__(self, owner: Any, name: str) -> None:
        self.seconds, inner = 0.0, getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.thread_time()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds += time.thread_time() - start

        setattr(owner, name, timed)


def main() -> None:
    options = arguments(__doc__ or "", only="measure only these, separated by semicolons")
    loaded = load(options.device)
    model, tokens = loaded.model, options.limit or 40
    text = "Tell me about the sea and the animals that live in it."
    prompt, other = chat_ids(loaded, f"The sea is large. {text}"), chat_ids(loaded, text)
    ids = torch.tensor([prompt], device=model.device)
    inputs: dict[str, Any] = {"max_new_tokens": tokens, "min_new_tokens": tokens}
    forward, lens = Clock(passes.PassState, "_forward"), Clock(LogitLens, "logits")
    steers = {
        "cad": guided.cad(model, other, alpha=0.5),
        "adacad": guided.adacad(model, other),
        "icd": guided.icd(model, other),
        "lol": guided.lol(model, other, instructed=prompt),
        "dola (3 layers)": guided.dola(model, layers=(10, 15, 20)),
        "vdgd": guided.vdgd(model, prompt, mix=0.5),
        "contrastive decoding": guided.contrastive_decoding(model, plausibility=0.1),
        "proxy tuning": guided.proxy_tuning(model, model),
        "consult, always": guided.consult(model, router="always"),
        "rapid": guided.rapid(model, other, eta=1.0),
    }
    figures = {}
    wanted = options.only.split(";") if options.only else list(steers)
    for name, steer in ((name, steers[name]) for name in wanted):
        (processor,) = steer.parts
        inside = 0.0

        def spy(input_ids: torch.Tensor, scores: torch.Tensor, processor: Any = processor) -> torch.Tensor:
            nonlocal inside
            start = time.thread_time()
            out: torch.Tensor = processor(input_ids, scores)
            inside += time.thread_time() - start
            return out

        def run(ids: torch.Tensor, processor: Any = processor, spy: Any = spy) -> float:
            processor.announce()
            given = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
            start = time.thread_time()
            model.generate(**given, do_sample=False, logits_processor=[lambda ids, scores: spy(ids, scores)])
            return time.thread_time() - start

        run(torch.cat([ids[:, :3], ids[:, 4:]], dim=1))  # another text: what has been run for one is remembered
        inside = forward.seconds = lens.seconds = 0.0
        total = run(ids)
        own = inside - forward.seconds - lens.seconds
        step = total - inside
        figures[name] = {
            "passes_ms": forward.seconds / tokens * 1e3, "unembeddings_ms": lens.seconds / tokens * 1e3,
            "rest_ms": own / tokens * 1e3, "plain_step_ms": step / tokens * 1e3,
            "rest_over_step_and_passes": own / (step + forward.seconds + lens.seconds),
        }  # fmt: skip
        print(
            f"{name:22s} step {step / tokens * 1e3:7.2f} ms  passes {forward.seconds / tokens * 1e3:7.2f} ms  "
            f"unembeddings {lens.seconds / tokens * 1e3:6.2f} ms  rest {own / tokens * 1e3:6.3f} ms = "
            f"{own / (step + forward.seconds + lens.seconds):6.2%} of step and passes"
        )
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
