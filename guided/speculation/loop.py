"""The loop: draft, trim, one pass, verify, commit. What `generate(custom_generate=...)` calls.

`generate` has prepared everything (processors in their order, stopping criteria, cache, lengths); the loop replaces
only its step. What it does not speculate about (beams, encoder-decoder models, caches that cannot be cut) is handed to
the method that `generate` itself would have taken, with a warning and a note in the statistics.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, cast

import numpy as np
import torch

from guided.speculation.draft import Draft, Drafter, Seen, Setup, View
from guided.speculation.forced import FORCED, add_forced, only_legal_token
from guided.speculation.lean import lean_layers
from guided.speculation.narrow import Narrow, Products, narrow_passes, products_of
from guided.speculation.passes import Passes, cache_name
from guided.speculation.processing import constraint_of, flat_processors, owner_of, row_processors
from guided.speculation.skinny import skinny
from guided.speculation.spelling import Speller
from guided.speculation.stats import Round, Stats
from guided.speculation.trim import trim
from guided.speculation.verify import Acceptance, Exact, Group, Row

__all__ = ["Speculation", "SpeculationWarning"]

Kwargs = dict[str, Any]

_ROOM = 64  # nodes of a draft at most, whatever the drafters say
_KNOWN = {
    "attention_mask", "cache", "encoder_outputs", "logits_to_keep", "past_key_values", "position_ids", "use_cache",
}  # fmt: skip


class SpeculationWarning(UserWarning):
    """Plain `generate` ran instead of the speculative loop."""


class Speculation:
    """One generation. `drafter` None: the constraint's forced text is all that is drafted."""

    def __init__(
        self,
        model: Any,
        drafter: Drafter | None,
        *,
        tokenizer: Any = None,
        acceptance: Acceptance | None = None,
        forced: bool = True,
        streamer: Any = None,
        progress: bool | None = None,
        narrow: Narrow = "auto",
        stats: Stats | None = None,
    ) -> None:
        self._narrow = narrow
        self.model, self.drafter, self.tokenizer = model, drafter, tokenizer
        self._acceptance, self._use_forced = acceptance, forced
        self._streamer, self._progress = streamer, progress
        self.stats = stats if stats is not None else Stats()
        self._products: Products | None = None
        self._needs: frozenset[str] = drafter.needs if drafter is not None else frozenset()

    # ------------------------------------------------------------------------------------------------ entry

    def run(
        self, input_ids: torch.Tensor, logits_processor: Any, stopping_criteria: Any, config: Any, kwargs: Kwargs
    ) -> Any:
        """What `generate` returns for prepared inputs: ids [rows, length], or its output object."""
        start = time.perf_counter()
        reason = unsupported(self.model, config, kwargs)
        if reason is None:
            with self._lean() as self._products:
                result = self._decode(input_ids, logits_processor, stopping_criteria, config, kwargs)
        else:
            result = self._plain(reason, input_ids, logits_processor, stopping_criteria, config, kwargs)
        self.stats.wall_seconds += time.perf_counter() - start
        return result

    @contextmanager
    def _lean(self) -> Iterator[Products | None]:
        """What makes passes over few tokens cheaper, for the time of a generation."""
        with ExitStack() as stack:
            if self._narrow != "off":
                stack.enter_context(lean_layers(self.model, products_of(self.model, self._narrow)))
            yield stack.enter_context(narrow_passes(self.model, self._narrow))

    def _threads(self) -> AbstractContextManager[None]:
        """Whose threads work on a pass over few tokens."""
        code = skinny() if self._products is not None else None
        return code.threads() if code is not None else nullcontext()

    def _plain(
        self, reason: str, input_ids: Any, logits_processor: Any, stopping_criteria: Any, config: Any, kwargs: Any
    ) -> Any:
        from transformers.generation.utils import GENERATION_MODES_MAPPING

        self.stats.fallback = reason
        warnings.warn(f"no speculation: {reason}. Plain generate runs.", SpeculationWarning, stacklevel=4)
        method = getattr(type(self.model), GENERATION_MODES_MAPPING[config.get_generation_mode()])
        result = method(
            self.model,
            input_ids,
            logits_processor=logits_processor,
            stopping_criteria=stopping_criteria,
            generation_config=config,
            streamer=self._streamer,
            **kwargs,
        )
        ids = getattr(result, "sequences", result)
        self.stats.tokens += ids.shape[0] * (ids.shape[1] - input_ids.shape[1])
        return result

    # ------------------------------------------------------------------------------------------------ the loop

    def _decode(
        self, input_ids: torch.Tensor, logits_processor: Any, stopping_criteria: Any, config: Any, kwargs: Kwargs
    ) -> Any:
        stats, needs = self.stats, self._needs
        passes = Passes(
            self.model, kwargs, input_ids.shape[0], watch_hidden=bool(needs & {"hidden", "prompt_hidden"})
        )
        processors = flat_processors(logits_processor)
        # On a busy machine the clock tells what others do; a processor's own time tells what a pass costs.
        clock = time.thread_time if input_ids.device.type == "cpu" else time.perf_counter
        keep = self._kept_outputs(config)
        arguments = (input_ids, processors, stopping_criteria, config, kwargs, passes, keep)
        width = getattr(self.model.get_output_embeddings(), "out_features", 0)
        if width and needs <= {"logits"} and passes.reads_ahead(input_ids, config):
            groups = self._groups(*arguments)
            rows = groups[0].rows
            self._start_sessions(rows, config, width, groups[0], passes)
            began = time.perf_counter()
            drafts = [self._draft(rows[0], groups, passes, chain=True)]
            stats.draft_seconds += time.perf_counter() - began
            logits = self._read(passes, input_ids, config, drafts[0].tokens[1:])
        else:
            logits = self._read(passes, input_ids, config)
            groups = self._groups(*arguments)
            rows = [row for group in groups for row in group.rows]
            self._start_sessions(rows, config, logits.shape[-1], groups[0], passes)
            drafts = [Draft(row.ids[-1], 0) for row in rows]
        with self._bar(rows, groups) as bar:
            self._settle(groups, drafts, logits, passes, stats.prompt_seconds, bar, first=True)
            while not all(group.finished for group in groups):
                began = time.perf_counter()
                drafts = [self._draft(row, groups, passes) for row in rows]
                before, clock_before = time.perf_counter(), clock()
                stats.draft_seconds += before - began
                ahead = [self._overlap(row, drafts[row.index]) for row in rows if not row.finished]
                with self._threads():
                    logits = passes.run(drafts)
                if logits.device.type == "cuda":
                    torch.cuda.synchronize(logits.device)  # launched is not done; what follows would wait anyway
                seconds = clock() - clock_before
                for job in ahead:
                    if job is not None:
                        job.result()
                stats.passes += 1
                stats.pass_seconds += time.perf_counter() - before
                self._settle(groups, drafts, logits, passes, seconds, bar)
        if self._streamer is not None:
            self._streamer.end()
        stats.mask_seconds += sum(group.seconds for group in groups)
        return self._result(groups, config, passes, keep)

    def _read(self, passes: Passes, input_ids: torch.Tensor, config: Any, ahead: Sequence[int] = ()) -> torch.Tensor:
        """The prompt's pass."""
        began = time.perf_counter()
        logits = passes.prefill(input_ids, config, ahead)
        self.stats.prompt_seconds += time.perf_counter() - began
        self.stats.passes += 1
        return logits

    def _settle(
        self,
        groups: Sequence[Group],
        drafts: Sequence[Draft],
        logits: torch.Tensor,
        passes: Passes,
        seconds: float,
        bar: Any,
        *,
        first: bool = False,
    ) -> None:
        """Verify a pass, commit what it accepted, tell everyone."""
        stats = self.stats
        live = [row for group in groups for row in group.rows if not row.finished]
        for group in groups:
            if not group.finished:
                at = [row.index for row in group.rows]
                group.walk([drafts[i] for i in at], logits if len(at) == len(drafts) else logits[at])
        every = [row for group in groups for row in group.rows]
        for row in live:
            self._follow(row)
        if not first or len(drafts[0]) > 1:
            passes.commit([row.path if row in live else [] for row in every])
        for row in live:
            draft = drafts[row.index]
            stats.drafted += len(draft) - 1
            stats.drafted_by.update(draft.sources[1:])
            self._observe(row, draft, logits, passes, seconds, first)
            if not row.finished:
                self._close(row, groups)
            stats.tokens += len(row.emitted)
            accepted = [source for source in row.sources if source]
            stats.accepted += len(accepted)
            stats.accepted_by.update(accepted)
            stats.forced += sum(source == FORCED for source in accepted)
            stats.rounds.append(Round(row.index, tuple(row.emitted), tuple(row.sources), len(draft), seconds))
            bar(len(row.emitted))
        if self._streamer is not None:
            for step in zip(*(row.emitted for row in live), strict=True):
                self._streamer.put(torch.tensor(step))

    def _follow(self, row: Row) -> None:
        """Move the drafting matcher; a token that it refuses ends its use."""
        if row.matcher is not None:
            for token in row.emitted:
                if not row.matcher.accept(token):
                    row.matcher = None
                    break

    def _observe(
        self, row: Row, draft: Draft, logits: torch.Tensor, passes: Passes, seconds: float, first: bool
    ) -> None:
        if row.session is None:
            return
        began = time.perf_counter()
        seen = Seen(draft, row.path, row.emitted[-1], row.ids, seconds=0.0 if first else seconds)
        if "logits" in self._needs:
            seen.logits = logits[row.index, : len(draft)]
        if passes.hidden is not None:
            hidden = passes.hidden[row.index]
            seen.hidden = hidden[-1:] if first else hidden[: len(draft)]
            seen.prompt_hidden = hidden if first else None
        row.session.observe(seen)
        self.stats.draft_seconds += time.perf_counter() - began

    def _close(self, row: Row, groups: Sequence[Group]) -> None:
        """Where nothing but the end of the text may follow, write it without a pass."""
        if row.matcher is None or len(groups[row.index if len(groups) > 1 else 0].rows) > 1 or not self._outright:
            return
        if row.matcher.is_accepting() and not row.matcher.forced_bytes():
            token = only_legal_token(row.matcher, self._mask)
            if token in row.matcher.vocab.eos_ids:
                groups[row.index if len(groups) > 1 else 0].append_outright(token, FORCED)

    # ------------------------------------------------------------------------------------------------ drafting

    def _draft(self, row: Row, groups: Sequence[Group], passes: Passes, *, chain: bool = False) -> Draft:
        """What the row proposes, trimmed; the bare root where it has nothing to say. `chain`: only the first path."""
        if row.finished or not passes.rewinds:
            return Draft(row.ids[-1], 0)
        group = groups[row.index] if len(groups) > 1 else groups[0]
        depth = group.max_length - group.length - 1  # the pass adds one token itself
        draft = Draft(row.ids[-1], _ROOM, depth)
        view = View(row.ids, row.prompt_length, len(row.ids), row.matcher)
        node = 0
        if row.matcher is not None and self._speller is not None:
            view.ids = row.ids.copy()
            node = add_forced(view, draft, self._speller)
        if row.session is not None and draft.left > 0:
            row.session.propose(view, draft, node)
        if row.matcher is not None and draft.depth[node]:
            row.matcher.rollback(draft.depth[node])
        draft = trim(draft, row.matcher, self._eos_ids, self._width)
        return draft if (passes.branches and not chain) or draft.is_chain() else draft.first_path()

    def _overlap(self, row: Row, draft: Draft) -> Any:
        """Let a session draft on while the target checks."""
        if row.session is None or not getattr(self.drafter, "overlap", False):
            return None
        from guided.drafters.model import draft_pool

        view = View(list(row.ids), row.prompt_length, len(row.ids), row.matcher)
        return draft_pool().submit(row.session.overlap, view, draft)

    def _start_sessions(self, rows: Sequence[Row], config: Any, width: int, group: Group, passes: Passes) -> None:
        self._width = width
        self._eos_ids = group.eos_ids
        vocabularies = [row.matcher.vocab for row in rows if hasattr(row.matcher, "vocab")]
        vocabulary = vocabularies[0] if vocabularies else None
        self._speller: Speller | None = None
        self._outright = False
        for row in rows:
            if row.matcher is not None and not hasattr(row.matcher, "forced_bytes"):
                row.matcher = None  # a constraint that only masks
        if vocabulary is not None:
            if self._use_forced:
                self._speller = Speller(vocabulary, self.tokenizer)
            self._outright = self._use_forced and not config.return_dict_in_generate and len(vocabulary.eos_ids) == 1
            self._outright = self._outright and set(vocabulary.eos_ids) <= group.eos_ids
            self._mask = np.zeros(vocabulary.words, np.int32)
        if self.drafter is None:
            return
        setup = Setup(
            self.model,
            config,
            float(config.temperature or 1.0) if config.do_sample else 0.0,
            width,
            self._eos_ids,
            vocabulary,
            self.tokenizer,
            len(rows),
            {"passes": passes, "products": self._products},
        )
        for row in rows:
            row.session = self.drafter.start(setup)

    # ------------------------------------------------------------------------------------------------ preparing

    def _groups(
        self,
        input_ids: torch.Tensor,
        processors: list[Any],
        stopping_criteria: Any,
        config: Any,
        kwargs: dict[str, Any],
        passes: Passes,
        keep: tuple[list[Any] | None, list[Any] | None],
    ) -> list[Group]:
        """One group a row where rows may run ahead of each other, else one group of all."""
        count = input_ids.shape[0]
        eos: set[int] = set()
        max_length, criteria = config.max_length, []
        for criterion in stopping_criteria:
            if type(criterion).__name__ == "MaxLengthCriteria":
                max_length = min(max_length, criterion.max_length)
            elif type(criterion).__name__ == "EosTokenCriteria":
                eos.update(criterion.eos_token_id.tolist())
            else:
                criteria.append(criterion)
        constraint = constraint_of(processors)
        mask = kwargs.get("attention_mask")
        rows = []
        for index in range(count):
            ids = input_ids[index] if mask is None else input_ids[index][mask[index, -input_ids.shape[1] :].bool()]
            owner = None if constraint is None else owner_of(constraint, index, count)
            rows.append(Row(index, ids.tolist(), None if owner is None else owner.begin().matcher, None))
        pad = 0 if config._pad_token_tensor is None else int(config._pad_token_tensor)
        acceptance = self._acceptance or Exact(bool(config.do_sample))
        room = max_length - input_ids.shape[1]
        end = (frozenset(eos), max_length, criteria, pad, keep)
        apart = [row_processors(processors, index, count) for index in range(count)] if count > 1 else []
        free = passes.plain and self._streamer is None and keep == (None, None) and not criteria
        if count > 1 and free and all(own is not None for own in apart):
            return [
                Group([row], input_ids[row.index : row.index + 1], room, own or [], acceptance, *end)
                for row, own in zip(rows, apart, strict=True)
            ]
        return [Group(rows, input_ids, room, processors, acceptance, *end)]

    def _kept_outputs(self, config: Any) -> tuple[list[Any] | None, list[Any] | None]:
        if not config.return_dict_in_generate:
            return None, None
        return ([] if config.output_scores else None), ([] if config.output_logits else None)

    def _bar(self, rows: Sequence[Row], groups: Sequence[Group]) -> _Bar:
        total = sum(group.max_length - group.length for group in groups for _ in group.rows)
        return _Bar(total, len(rows) > 1 if self._progress is None else self._progress, self._progress is None)

    def _result(
        self, groups: Sequence[Group], config: Any, passes: Passes, keep: tuple[list[Any] | None, list[Any] | None]
    ) -> Any:
        longest = max(group.length for group in groups)
        pieces = []
        for group in groups:
            ids = group.ids[:, : group.length]
            missing = longest - group.length
            pieces.append(torch.nn.functional.pad(ids, (0, missing), value=group.pad) if missing else ids)
        sequences = torch.cat(pieces).clone()
        if not config.return_dict_in_generate:
            return sequences
        from transformers.generation.utils import GenerateDecoderOnlyOutput

        scores, logits = (None if kept is None else tuple(kept) for kept in keep)
        return GenerateDecoderOnlyOutput(
            sequences=cast(Any, sequences), scores=scores, logits=logits, **{passes.cache_name: passes.cache}
        )


class _Bar:
    """A progress bar over tokens, shown only where somebody looks and it takes a while."""

    def __init__(self, total: int, wanted: bool, only_terminals: bool) -> None:
        self._bar: Any = None
        if wanted:
            from tqdm.auto import tqdm

            disable = None if only_terminals else False
            self._bar = tqdm(total=total, unit="tok", delay=2.0 if only_terminals else 0.0, disable=disable)

    def __enter__(self) -> _Bar:
        return self

    def __call__(self, count: int) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def unsupported(model: Any, config: Any, kwargs: dict[str, Any]) -> str | None:
    """Why a generation cannot be speculated about; None if it can."""
    import inspect

    mode = str(getattr(config.get_generation_mode(), "value", ""))
    if mode not in ("greedy_search", "sample", "assisted_generation"):
        return f"{mode.replace('_', ' ')} keeps several hypotheses of a text"
    if model.config.is_encoder_decoder:
        return "the model is an encoder-decoder"
    if config.return_dict_in_generate and (config.output_attentions or config.output_hidden_states):
        return "attentions or hidden states of each step are asked for"
    cache = kwargs.get(cache_name(kwargs))
    if not kwargs.get("use_cache", True) or cache is None or not hasattr(cache, "crop"):
        return "there is no cache that could be cut back"
    if getattr(cache, "is_compileable", False):
        return "a static cache cannot be cut back"
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return "the model takes no position_ids"
    if kwargs.get("inputs_embeds") is not None:
        return "the prompt is given as embeddings"
    odd = sorted(name for name, value in kwargs.items() if value is not None and name not in _KNOWN)
    if odd:
        return f"the model is called with {', '.join(odd)}"
    return None
