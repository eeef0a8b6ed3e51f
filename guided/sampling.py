"""Samplers as lists for `generate(logits_processor=...)`; they compose: `guided.json(schema) + guided.mirostat()`.

What transformers has of its own (top-k, top-p, min-p, typical, eta, epsilon) is not written again; docs/methods tells
how to combine those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from processors.composition import ProcessorList
from processors.sampling.mirostat import MirostatProcessor
from processors.sampling.momentum import MomentumProcessor

__all__ = ["mirostat", "momentum"]


def mirostat(
    tau: float = 3.0,
    eta: float = 0.1,
    *,
    version: Literal[1, 2] = 2,
    temperature: float = 1.0,
    mu: float | None = None,
    surprise: Literal["model", "truncated"] = "model",
    m: int = 100,
    forced: Literal["skip", "count"] = "skip",
    warmup: int = 0,
    heat: bool = False,
) -> ProcessorList:
    """Text whose mean surprise stays at `tau` bits a token: neither dull and repetitive nor incoherent, at any length.

    After each token the cut-off mu moves by `eta` bits for each bit of error, in each row for itself, from 2 tau.
    `version` 1 is the paper's (top-k by an estimate of Zipf's law), 2 is llama.cpp's (a bound on surprise). With a
    constraint, surprise is measured among allowed tokens, and forced text does not count. With `warmup=30` the target
    is reached within a short text, with `heat=True` also where the model's own text is less surprising than `tau`.

    >>> model.generate(**inputs, do_sample=True, top_k=0, logits_processor=guided.mirostat(tau=3))  # doctest: +SKIP

    Costs no forward pass. `processors.sampling.MirostatProcessor` tells of the other settings. Basu et al. 2021,
    arXiv 2007.14966, algorithm 1. Errors: `GenerationError` for settings out of range.
    """
    return ProcessorList(
        [
            MirostatProcessor(
                tau,
                eta,
                version=version,
                temperature=temperature,
                mu=mu,
                surprise=surprise,
                m=m,
                forced=forced,
                warmup=warmup,
                heat=heat,
            )
        ]
    )


def momentum(
    alpha: float = 0.2,
    top_k: int = 5,
    *,
    longest: int = 5,
    resistance: Callable[[int], float] = float,
    temperature: float = 0.1,
    exempt: Iterable[int] = (),
) -> ProcessorList:
    """Greedy decoding that does not loop: of the best `top_k`, tokens that continue a repetition meet resistance.

    score = p - alpha * f(l), l the length of the n-gram that would be repeated. Costs no forward pass; use it with
    `do_sample=False`. Lan et al. 2022, arXiv 2212.02175. Errors: `GenerationError` for settings out of range.

    >>> model.generate(**inputs, do_sample=False, logits_processor=guided.momentum())  # doctest: +SKIP
    """
    return ProcessorList(
        [
            MomentumProcessor(
                alpha, top_k, longest=longest, resistance=resistance, temperature=temperature, exempt=exempt
            )
        ]
    )
