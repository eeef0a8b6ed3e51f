"""`generate`: as `model.generate`, with fewer forward passes; `speculative`: the same as a `custom_generate` of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from guided.speculation.draft import Drafter
from guided.speculation.healing import heal as heal_prompts
from guided.speculation.loop import Speculation
from guided.speculation.narrow import Narrow
from guided.speculation.processing import constraint_of, flat_processors
from guided.speculation.stats import Stats
from guided.speculation.timeline import timeline_svg
from guided.speculation.verify import Acceptance
from guided.tokenizers import resolve_vocabulary, tokenizer_of
from processors.composition import ProcessorList
from processors.errors import CompositionError

if TYPE_CHECKING:
    from guided.conditioning import AlignedSampler

__all__ = ["GenerationOutput", "Speculative", "generate", "speculative"]

WhichDrafter = Drafter | Literal["auto"] | None


@dataclass(frozen=True, eq=False)
class GenerationOutput:
    """What `generate` gives.

    `sequences` LongTensor [rows, length], prompts included, as `model.generate` returns; `stats` what it cost; `raw`
    the object that `model.generate` returned (with scores and the like where `return_dict_in_generate=True`).
    """

    sequences: torch.Tensor
    stats: Stats
    raw: Any
    prompt_length: int
    constraint: Any = None
    tokenizer: Any = None
    healed: Any = None  # list of bytes: what each row's text begins with because the prompt took it back

    @property
    def new_tokens(self) -> torch.Tensor:
        """LongTensor [rows, new]: what was written, with the padding of rows that ended early."""
        return self.sequences[:, self.prompt_length :]

    @property
    def parsed(self) -> Any:
        """The typed value of what was written, see `ProcessorList.parse`; of several rows, a list with one for each.

        Errors: `CompositionError` without a constraint; `ParseError` for a row that was cut short.
        """
        if not isinstance(self.constraint, ProcessorList):
            raise CompositionError("there was no constraint to read the output by", "Give constraint=guided.json(...).")
        found = constraint_of(flat_processors(self.constraint))
        prompts = 1 if found is None else len(found.constraints)
        rows = self.new_tokens.tolist()
        texts = [self._own_text(row, at) for at, row in enumerate(rows)]
        values = [self.constraint.parse(text, at * prompts // len(rows)) for at, text in enumerate(texts)]
        return values[0] if len(values) == 1 else values

    def _own_text(self, row: list[int], at: int) -> Any:
        """What the constraint spoke of: without what the prompt took back and without the end."""
        lead = self.healed[at] if self.healed else b""
        if not lead or self.constraint is None:
            return row
        found = constraint_of(flat_processors(self.constraint))
        vocabulary = next(each for each in found.constraints if each).vocabulary if found else None
        spell = getattr(vocabulary, "token_bytes", lambda _: b"")
        return b"".join(spell(token) for token in row)[len(lead) :].decode("utf-8", "replace")

    def timeline(self, path: Any = None, *, row: int = 0) -> str:
        """A picture of the run as SVG: one line a pass, one box a token, coloured by who drafted it.

        Written to `path` if one is given. Tokens are spelled by the tokenizer, as numbers without one.
        """
        decode = getattr(self.tokenizer, "decode", None)
        picture = timeline_svg(self.stats, lambda token: str(token) if decode is None else decode([token]), row=row)
        if path is not None:
            Path(path).write_text(picture, encoding="utf-8")
        return picture


class Speculative:
    """What `model.generate(custom_generate=...)` calls. `stats` are those of the last generation."""

    def __init__(
        self,
        drafter: WhichDrafter = "auto",
        *,
        tokenizer: Any = None,
        acceptance: Acceptance | None = None,
        forced: bool = True,
        streamer: Any = None,
        progress: bool | None = None,
        narrow: Narrow = "auto",
    ) -> None:
        self._drafter, self._tokenizer = drafter, tokenizer
        self._options = {"acceptance": acceptance, "forced": forced, "progress": progress, "narrow": narrow}
        self._streamer = streamer
        self.stats = Stats()

    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> Any:
        """Called by `generate` with what it has prepared."""
        self.stats = Stats()
        tokenizer = _tokenizer_of(logits_processor) if self._tokenizer is None else self._tokenizer
        speculation = Speculation(
            model,
            resolve_drafter(self._drafter, model),
            tokenizer=tokenizer,
            streamer=self._streamer,
            stats=self.stats,
            **self._options,  # type: ignore[arg-type]
        )
        if self._streamer is not None:
            self._streamer.put(input_ids.cpu())
        return speculation.run(input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs)


def speculative(
    drafter: WhichDrafter = "auto",
    *,
    tokenizer: Any = None,
    acceptance: Acceptance | None = None,
    forced: bool = True,
    streamer: Any = None,
    progress: bool | None = None,
    narrow: Narrow = "auto",
) -> Speculative:
    """Speculative decoding for `model.generate(..., custom_generate=guided.speculative())`.

    `drafter`     "auto": measures what drafts and passes cost and gain, and chooses; a drafter of `guided.drafters`;
                  None: only text that the constraint forces is drafted
    `tokenizer`   the model's, to spell forced text; default: the one the constraint was built with
    `acceptance`  how drafts are accepted; default exact. See `guided.speculation.verify.Acceptance`
    `forced`      draft text that the constraint leaves no choice about
    `streamer`    gets tokens as they are committed (`generate` passes its own `streamer=` on to nobody)
    `progress`    a bar over tokens; None: for batches on a terminal that take a while
    `narrow`      how float32 weights on a CPU are multiplied with few rows: "auto": as was measured to be fastest,
                  with compact copies of weights that need fewer bits; "in-place": without copies; "off": as the
                  model does. See `guided.speculation.narrow`

    The output is that of plain `generate`: the same tokens when greedy, the same distribution when sampled.
    """
    return Speculative(
        drafter,
        tokenizer=tokenizer,
        acceptance=acceptance,
        forced=forced,
        streamer=streamer,
        progress=progress,
        narrow=narrow,
    )


def generate(
    model: Any,
    inputs: Mapping[str, Any] | torch.Tensor,
    constraint: ProcessorList | None = None,
    drafter: WhichDrafter = "auto",
    *,
    tokenizer: Any = None,
    streamer: Any = None,
    progress: bool | None = None,
    acceptance: Acceptance | None = None,
    forced: bool = True,
    narrow: Narrow = "auto",
    logits_processor: Any = None,
    stop_strings: str | list[str] | None = None,
    stopping_criteria: Any = None,
    sampling: Literal["masked", "aligned"] | AlignedSampler = "masked",
    heal: bool = False,
    **generate_kwargs: Any,
) -> GenerationOutput:
    """Generate under a constraint, several tokens a forward pass, with the output of plain `model.generate`.

    `inputs`             what the tokenizer gives (ids and mask), or ids [rows, length]
    `constraint`         `guided.json(...)` and the like, or any composition of processors
    `generate_kwargs`    those of `model.generate`; the other arguments are those of `guided.speculative`
    `sampling`           "masked": each token from its law restricted to legal tokens; "aligned" (or an object that
                         `guided.aligned` gave): texts from the model's law given the constraint, see there. It samples
                         without truncation (top_k=0) unless told otherwise, takes no drafter, and `raw` is a
                         `guided.AlignedOutput` with the legal mass at each token
    `heal`               token healing: a prompt that ends within a word is continued as text. Its last tokens are taken
                         back where they could begin a longer one, `sequences` begins with the prompt so shortened, and
                         what is written begins with their bytes (`healed`)
    `stop_strings`       need `tokenizer` (or a constraint that was built with one)

    Beam search, encoder-decoder models, static caches and the like are left to plain `generate`, with a
    `SpeculationWarning` and the reason in `stats.fallback`.
    """
    from transformers import LogitsProcessorList, StoppingCriteriaList

    ids = inputs if isinstance(inputs, torch.Tensor) else inputs["input_ids"]
    arguments = {"input_ids": inputs} if isinstance(inputs, torch.Tensor) else dict(inputs)
    processors: Any = constraint
    healed: list[bytes] | None = None
    if heal:
        vocabulary = resolve_vocabulary(_vocabulary_of(constraint) or tokenizer, model)
        arguments, processors, healed = heal_prompts(arguments, constraint, vocabulary)
        ids = arguments["input_ids"]
    if logits_processor is not None:
        processors = ProcessorList([logits_processor] if processors is None else [processors, logits_processor])
    if tokenizer is None:
        tokenizer = _tokenizer_of(constraint)
    criteria = StoppingCriteriaList(stopping_criteria or [])
    if stop_strings is not None:
        from transformers import StopStringCriteria

        if tokenizer is None:
            raise ValueError("stop_strings need tokenizer=: it says which tokens can end with a stop string")
        criteria.append(StopStringCriteria(tokenizer, stop_strings))
    run: Any = speculative(
        drafter,
        tokenizer=tokenizer,
        acceptance=acceptance,
        forced=forced,
        streamer=streamer,
        progress=progress,
        narrow=narrow,
    )
    if sampling != "masked":
        if drafter not in ("auto", None) or acceptance is not None or streamer is not None:
            raise ValueError("aligned sampling walks whole texts: it takes no drafter, acceptance or streamer")
        run = _aligned_sampler(sampling)
        generate_kwargs = {"do_sample": True, "top_k": 0, **generate_kwargs, "return_dict_in_generate": True}
    raw = model.generate(
        **arguments,
        logits_processor=LogitsProcessorList() if processors is None else processors,
        stopping_criteria=criteria,
        custom_generate=run,
        **generate_kwargs,
    )
    sequences = getattr(raw, "sequences", raw)
    stats = run.stats if sampling == "masked" else Stats(passes=raw.stats.passes, tokens=raw.tokens)
    return GenerationOutput(sequences, stats, raw, ids.shape[1], constraint, tokenizer, healed)


def _aligned_sampler(sampling: Any) -> AlignedSampler:
    from guided.conditioning import AlignedSampler, aligned

    if sampling == "aligned":
        return aligned()
    if not isinstance(sampling, AlignedSampler):
        raise ValueError(f'sampling={sampling!r} is unknown: "masked", "aligned" or what guided.aligned(...) gives')
    return sampling


def _tokenizer_of(constraint: Any) -> Any:
    found = None if constraint is None else constraint_of(flat_processors(constraint))
    return None if found is None else tokenizer_of(next(each for each in found.constraints if each).vocabulary)


def _vocabulary_of(constraint: Any) -> Any:
    found = None if constraint is None else constraint_of(flat_processors(constraint))
    return None if found is None else next(each for each in found.constraints if each).vocabulary


def resolve_drafter(drafter: WhichDrafter, model: Any) -> Drafter | None:
    """The drafter meant."""
    if drafter == "auto":
        from guided.drafters.auto import auto_for

        return auto_for(model)
    return drafter
