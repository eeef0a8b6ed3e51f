"""Steering: what should be said, as lists for `generate(logits_processor=...)`; all compose with constraints.

    model.generate(**inputs, logits_processor=guided.json(schema) + guided.cad(model, without_context=bare))

Prompts are given as ids, as the tokenizer returns them, one for each prompt of the batch or one for all; numbers may be
sequences too, one for each prompt. What the sampler's temperature and truncation do comes afterwards. The classes in
`processors.evidence` and `processors.collaborative` tell of the formulas, docs/methods of when which method helps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from processors.collaborative import (
    ConsultProcessor,
    ContrastiveProcessor,
    EntropyAdaptiveProcessor,
    ProxyTuningProcessor,
    RapidProcessor,
)
from processors.composition import ProcessorList
from processors.evidence import (
    AdaCADProcessor,
    CADProcessor,
    DoLaProcessor,
    ICDProcessor,
    LOLProcessor,
    VDGDProcessor,
)

__all__ = [
    "adacad",
    "cad",
    "consult",
    "contrastive_decoding",
    "dola",
    "ead",
    "icd",
    "lol",
    "proxy_tuning",
    "rapid",
    "vdgd",
]

Number = float | Sequence[float]  # or one for each prompt of the batch


def cad(model: Any, without_context: Any, *, alpha: Number = 0.5, plausibility: Number = 0.0) -> ProcessorList:
    """Context-aware decoding: the text keeps to the context where it and the model's memory disagree.

    `without_context`: the same prompts, same template, with the context left out. `alpha`: 0.5 for summaries, 1 for
    questions whose context contradicts memory, 0 is off. `plausibility`: drop tokens less likely than this share of the
    best (0: off, as in the paper). Costs a pass of `model` a token. Shi et al. 2023, arXiv 2305.14739.

    >>> model.generate(**inputs, logits_processor=guided.cad(model, without_context=bare, alpha=1))  # doctest: +SKIP

    Errors: `GenerationError` for a prompt without tokens, settings out of range, or as many prompts as fit no batch.
    """
    return ProcessorList([CADProcessor(model, without_context, alpha=alpha, plausibility=plausibility)])


def adacad(
    model: Any,
    without_context: Any,
    *,
    floor: Number = 0.0,
    base: Literal["nats", "bits"] = "nats",
    plausibility: Number = 0.0,
) -> ProcessorList:
    """CAD whose strength adapts to each token: as far as the predictions with and without context differ.

    `floor`: the least strength, for long answers. Costs as `cad`. Wang et al. 2024, arXiv 2409.07394.
    """
    return ProcessorList([AdaCADProcessor(model, without_context, floor=floor, base=base, plausibility=plausibility)])


def icd(
    model: Any, amateur: Any, *, amateur_inputs: Any = None, beta: Number = 1.0, plausibility: Number = 0.1
) -> ProcessorList:
    """Induce-then-contrast decoding: what the model says and a hallucinating amateur does not.

    `amateur`: a model made to err (its prompt: `amateur_inputs`, else that of `generate`), or a prompt under which
    `model` itself does. Costs a pass of the amateur a token. Zhang et al. 2023, arXiv 2312.15710.
    """
    return ProcessorList(
        [ICDProcessor(model, amateur, amateur_inputs=amateur_inputs, beta=beta, plausibility=plausibility)]
    )


def dola(
    model: Any,
    *,
    layers: Literal["low", "high"] | int | Sequence[int] = "low",
    plausibility: Number = 0.1,
    inputs: Any = None,
    norm: Any = None,
) -> ProcessorList:
    """Layer contrast: what the last layer adds over the inner layer that differs most from it.

    `layers`: candidates, "low" or "high" for every second of that half, or numbers. Costs no pass but an unembedding a
    candidate layer. Chuang et al. 2023, arXiv 2309.03883.
    """
    return ProcessorList([DoLaProcessor(model, layers=layers, plausibility=plausibility, inputs=inputs, norm=norm)])


def lol(
    model: Any,
    amateur: Any,
    *,
    layers: Literal["low", "high"] | int | Sequence[int] | None = None,
    instructed: Any = None,
    amateur_inputs: Any = None,
    omega: Number = 0.3,
    gamma: Number | None = None,
    beta: Number = 1.0,
    plausibility: Number = 0.1,
    inputs: Any = None,
    norm: Any = None,
) -> ProcessorList:
    """Contrast with an amateur at the last and at a lower layer, refocused by a truthful instruction.

    `layers`: the lower one (None: a third of the depth), or candidates of which the most distant is taken.
    `instructed`: the prompts with an instruction to be truthful; weight `gamma` (0.5 with it, else 0). `omega`: weight
    of the lower layer. Costs a pass of the amateur and one of the instructed prompt a token. After Chen et al. 2024,
    arXiv 2408.08769; the weights are ours.
    """
    processor = LOLProcessor(
        model,
        amateur,
        layers=layers,
        instructed=instructed,
        amateur_inputs=amateur_inputs,
        omega=omega,
        gamma=gamma,
        beta=beta,
        plausibility=plausibility,
        inputs=inputs,
        norm=norm,
    )
    return ProcessorList([processor])


def vdgd(
    model: Any = None,
    description: Any = None,
    *,
    context: Any = None,
    description_logits: torch.Tensor | Sequence[torch.Tensor] | None = None,
    alpha: Number = 0.1,
    top_p: float | None = None,
    temperature: float = 0.5,
    reduction: Literal["min", "mean", "sum"] = "min",
    mix: Number = 1.0,
    scale: float = 1.0,
) -> ProcessorList:
    """Description-grounded decoding: among plausible tokens those that a description makes likely.

    `description`: its ids; put its text into the prompt as well. `context`: what stood before it when it was written.
    For a vision-language model give `description_logits`, its logits while it described the image. Candidates are at
    least `alpha` as likely as the best; `top_p` at `temperature` narrows them as the authors' code does. `mix` 1 is the
    paper's, less keeps that much of the model's own opinion. One pass over the description, none a token. Ghosh et al.
    2024, arXiv 2405.15683.
    """
    processor = VDGDProcessor(
        model,
        description,
        context=context,
        description_logits=description_logits,
        alpha=alpha,
        top_p=top_p,
        temperature=temperature,
        reduction=reduction,
        mix=mix,
        scale=scale,
    )
    return ProcessorList([processor])


def contrastive_decoding(
    amateur: Any,
    *,
    beta: Number = 0.5,
    plausibility: Number = 0.1,
    temperature: float = 1.0,
    form: Literal["scaled", "difference"] = "scaled",
    inputs: Any = None,
) -> ProcessorList:
    """Contrastive decoding: the model that generates, less what a smaller one of its family says as well.

    `form`: "scaled" (1 + beta) L - beta S; "difference" L - beta S. `temperature`: the amateur's. Costs a pass of the
    amateur a token. Li et al. 2022, arXiv 2210.15097; O'Brien and Lewis 2023, arXiv 2309.09117.
    """
    processor = ContrastiveProcessor(
        amateur, beta=beta, plausibility=plausibility, temperature=temperature, form=form, inputs=inputs
    )
    return ProcessorList([processor])


def proxy_tuning(tuned: Any, untuned: Any, *, alpha: Number = 1.0, inputs: Any = None) -> ProcessorList:
    """The model that generates, as if it had been tuned as a small model was: L + alpha (tuned - untuned).

    Costs a pass of each small model a token. Liu et al. 2024, arXiv 2401.08565; emulated fine-tuning.
    """
    return ProcessorList([ProxyTuningProcessor(tuned, untuned, alpha=alpha, inputs=inputs)])


def consult(
    large: Any,
    *,
    router: Literal["threshold", "margin", "entropy", "always"] = "threshold",
    limit: Number | None = None,
    beta: float = 1.0,
    plausibility: float = 0.1,
    inputs: Any = None,
) -> ProcessorList:
    """The model that generates is small, and asks a large one for the tokens that it is unsure of (FS-GEN).

    `router`, `limit`: below which probability ("threshold"), margin of the best two, or above which entropy in bits it
    asks. `beta` 1: the large model's word holds; else S + beta (L - S). Zhang et al. 2024, arXiv 2406.12295.
    """
    return ProcessorList(
        [ConsultProcessor(large, router=router, limit=limit, beta=beta, plausibility=plausibility, inputs=inputs)]
    )


def ead(large: Any, *, tau: Number = 1.0, window: int = 5, stay: int = 10, inputs: Any = None) -> ProcessorList:
    """Entropy-adaptive decoding: a large model takes over while the mean entropy exceeds `tau` bits.

    The model that generates is the small one. `window`: tokens the mean is over; `stay`: least tokens between switches.
    Simonds 2025, arXiv 2502.06833.
    """
    return ProcessorList([EntropyAdaptiveProcessor(large, tau=tau, window=window, stay=stay, inputs=inputs)])


def rapid(drafter: Any, inputs: Any, *, eta: Number = 10.0, temperature: float = 1.0) -> ProcessorList:
    """Knowledge transfer: the model that reads the long context, moved towards a drafter that reads what was retrieved.

    `inputs`: the drafter's short prompts; `temperature`: that of `generate`. Costs a pass of the drafter a token.
    Chen et al. 2025, arXiv 2502.20330.
    """
    return ProcessorList([RapidProcessor(drafter, inputs, eta=eta, temperature=temperature)])
