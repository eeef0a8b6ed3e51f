"""`aligned`: sampling from the model's law *given* the constraint, as a `custom_generate` of transformers.

Masking token by token draws each token from the law restricted to what is legal there. That bends the distribution: a
token that leads into a corner, where the model gives almost no probability to anything legal, is chosen as often as if
it led anywhere. The law that users mean is the conditional one,

    p(text) = R(text) / Pr(language)    for texts of the language,    R: the model with all processors but the mask

and `aligned` draws from it: "rejection" exactly, "asap" and "smc" in the limit (see `walk` and `smc`).

    model.generate(**inputs, logits_processor=guided.json(schema), do_sample=True, top_k=0,
                   custom_generate=guided.aligned(), return_dict_in_generate=True)

Texts end within `max_new_tokens`: the law is conditioned on that as well. Where the model hardly ever comes to an end
by itself, give the limit to the constraint (`guided.json(..., max_new_tokens=...)`): it then steers to the end in time.

R includes every processor and warper in the list. So top_k and top_p are part of the law: what they cut off has no
probability, and where they cut off everything legal there is nothing to draw (an error says so). transformers' own
default is top_k=50; give top_k=0.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from guided.conditioning.awrs import Estimator
from guided.conditioning.output import AlignedOutput, AlignedStats
from guided.conditioning.smc import Critic, smc
from guided.conditioning.tree import Node, PrefixTree
from guided.conditioning.walk import Walks
from processors.constraint import Constraint, ConstraintProcessor
from processors.errors import GenerationError, UnsupportedGeneration

__all__ = ["AlignedSampler", "AlignmentWarning", "aligned"]

Method = Literal["rejection", "asap", "smc"]
_KEPT_TREES = 8


class AlignmentWarning(UserWarning):
    """Some outputs are not drawn exactly from the conditional law."""


def aligned(
    method: Method = "rejection",
    *,
    width: int = 4,
    max_passes: int = 1024,
    particles: int = 8,
    threshold: float = 0.5,
    proposal: Literal["mask", "awrs"] = "mask",
    estimator: Estimator = "auto",
    critic: Critic | None = None,
    max_nodes: int = 100_000,
) -> AlignedSampler:
    """A `custom_generate` that samples from the model's law given the constraint.

    `method`      "rejection": exactly that law, independent samples; costs 1 / Pr(language) walks at first, fewer with
                  each walk, as what they learn is kept. "asap": every walk is a sample; their law converges with the
                  number of samples. "smc": weighted particles, consistent in their number; a fixed cost a sample
    `width`       walks side by side (rejection, asap): tokens of one pass
    `max_passes`  forward passes for one prompt (rejection, asap), default 1,024. When they are used up, "rejection"
                  gives what "asap" would, marked `exact=False`, with an `AlignmentWarning`
    `particles`   (smc) for each returned text, default 8
    `threshold`   (smc) resample below this share of effective particles
    `proposal`    (smc) "mask", or "awrs": legality checks instead of masks, see `guided.conditioning.awrs`
    `estimator`   (smc with awrs) "auto", "recursive", "geometric"
    `critic`      (smc) log of a positive function of the tokens written so far
    `max_nodes`   prefixes that are remembered for a prompt; least visited ones are forgotten

    The object remembers what it learnt of the last 8 prompts, as long as model, constraint object and processors are
    the same: use one object for all calls. Not for use by two threads at once.

    Errors: `ValueError` for unknown or useless options.
    """
    return AlignedSampler(method, width, max_passes, particles, threshold, proposal, estimator, critic, max_nodes)


@dataclass(eq=False)
class AlignedSampler:
    """What `aligned` gives; the fields are its arguments."""

    method: Method = "rejection"
    width: int = 4
    max_passes: int = 1024
    particles: int = 8
    threshold: float = 0.5
    proposal: Literal["mask", "awrs"] = "mask"
    estimator: Estimator = "auto"
    critic: Critic | None = None
    max_nodes: int = 100_000

    def __post_init__(self) -> None:
        if self.method not in ("rejection", "asap", "smc"):
            raise ValueError(f'method={self.method!r} is unknown: "rejection", "asap" or "smc"')
        if self.proposal not in ("mask", "awrs"):
            raise ValueError(f'proposal={self.proposal!r} is unknown: "mask" or "awrs"')
        if self.method != "smc" and (self.proposal != "mask" or self.critic is not None or self.estimator != "auto"):
            raise ValueError(f'proposal, estimator and critic belong to method="smc", not {self.method!r}')
        if self.estimator != "auto" and self.proposal != "awrs":
            raise ValueError('estimator belongs to proposal="awrs"')
        if min(self.width, self.max_passes, self.particles, self.max_nodes) < 1 or not 0 <= self.threshold <= 1:
            raise ValueError("width, max_passes, particles and max_nodes are at least 1, threshold is from 0 to 1")
        self._trees: OrderedDict[Hashable, tuple[PrefixTree, Any]] = OrderedDict()

    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        *,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        **model_kwargs: Any,
    ) -> AlignedOutput | torch.Tensor:
        """Called by `generate`. The output object with `return_dict_in_generate=True`, else its sequences.

        Errors: `UnsupportedGeneration` for greedy decoding, encoder-decoder models, embeddings instead of ids, and stop
        criteria other than length and EOS; `GenerationError` when no legal text has any probability, or none was seen
        to end within the limit.
        """
        _check(model, input_ids, stopping_criteria, generation_config)
        attention_mask = model_kwargs.get("attention_mask")  # not named above: generate would pass it twice
        processor, rest = _split(logits_processor or [])
        rows, length = input_ids.shape
        limit = int(generation_config.max_length) - length
        results: list[_Result] = [_Result(None, False, 0.0, []) for _ in range(rows)]
        stats = AlignedStats()
        for tree, members in self._groups(model, input_ids, attention_mask, processor, rest, limit, generation_config):
            passes, scored = tree.passes, tree.scored
            for row, result in zip(members, self._sample(tree, len(members), stats), strict=True):
                results[row] = result
            stats.passes += tree.passes - passes
            stats.scored_tokens += tree.scored - scored
        if self.method == "rejection" and not all(result.exact for result in results):
            warnings.warn(
                f"max_passes={self.max_passes} were used up before enough exact samples were found; the rest follows "
                "ASAp's law (exact=False). Raise max_passes, or use one sampler object for all calls: it learns.",
                AlignmentWarning,
                stacklevel=2,
            )
        output = _output(input_ids, results, _pad(generation_config), stats)
        return output if generation_config.return_dict_in_generate else output.sequences

    def _groups(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor | None, processor: Any, rest: list[Any], limit: int,
        config: Any,
    ) -> Iterator[tuple[PrefixTree, list[int]]]:  # fmt: skip
        """Rows with the same prompt and constraint, and their tree."""
        groups: dict[tuple[tuple[int, ...], int], list[int]] = {}
        constraints: list[Constraint | None] = []
        prompts: list[torch.Tensor] = []
        for row in range(ids.shape[0]):
            owners = (None,) if processor is None else processor.constraints
            if ids.shape[0] % len(owners):
                raise GenerationError(f"{ids.shape[0]} rows for {len(owners)} constraints")
            constraints.append(owners[row * len(owners) // ids.shape[0]])
            prompts.append(ids[row] if mask is None else ids[row][mask[row].bool()])
            groups.setdefault((tuple(prompts[-1].tolist()), id(constraints[-1])), []).append(row)
        law = _Law(rest)
        for (prompt, owner), members in groups.items():
            constraint = constraints[members[0]]
            most = limit if constraint is None or constraint.budget is None else min(limit, constraint.budget)
            key = (id(model), prompt, owner, most, law.fingerprint)
            if key not in self._trees:
                tree = PrefixTree(
                    model,
                    prompts[members[0]].to(model.device),
                    law=law,
                    constraint=constraint,
                    limit=most,
                    eos_ids=_eos(config) if constraint is None else constraint.vocabulary.eos_ids,
                    tree_attention=_takes_tree_masks(model),
                )
                self._trees[key] = (tree, (model, constraint, rest))  # kept alive: keys hold their ids
            self._trees.move_to_end(key)
            while len(self._trees) > _KEPT_TREES:
                self._trees.popitem(last=False)
            yield self._trees[key][0], members

    def _sample(self, tree: PrefixTree, count: int, stats: AlignedStats) -> list[_Result]:
        if self.method == "smc":
            return [self._smc(tree, stats) for _ in range(count)]
        walks = Walks(tree, _uniform, width=self.width, max_passes=self.max_passes, max_nodes=self.max_nodes)
        nodes, exact = walks.sample(count, exact=self.method == "rejection")
        stats.attempts += walks.attempts
        stats.accepted += len(nodes)
        if len(nodes) < count:
            raise _nothing_to_draw() if tree.root.bound <= 0.0 else _no_end(tree.limit)
        bound = tree.root.bound
        certain = walks.accepted if self.method == "rejection" else 0
        return [
            _Result(node, exact or number < certain, bound, [each.mass for each in node.line()[:-1]])
            for number, node in enumerate(nodes)
        ]

    def _smc(self, tree: PrefixTree, stats: AlignedStats) -> _Result:
        rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        found = smc(
            tree, rng, particles=self.particles, threshold=self.threshold, proposal=self.proposal,
            estimator=self.estimator, critic=self.critic,
        )  # fmt: skip
        stats.attempts += self.particles
        weights = found.probabilities()
        if not weights.any():
            raise _nothing_to_draw() if tree.rows([tree.root])[0].mass <= 0.0 else _no_end(tree.limit)
        chosen = int(rng.choice(self.particles, p=weights))
        stats.accepted += 1
        node = found.nodes[chosen]
        assert node is not None
        return _Result(node, False, float(np.exp(found.log_evidence)), found.masses[chosen])


@dataclass
class _Result:
    node: Node | None
    exact: bool
    language_mass: float
    masses: list[float]


class _Law:
    """All processors but the constraint, as one function of (ids [1, length], logits [1, V])."""

    def __init__(self, processors: Iterable[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]) -> None:
        self.processors = tuple(processors)
        self.fingerprint = tuple(_fingerprint(processor) for processor in self.processors)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for processor in self.processors:
            scores = processor(ids, scores)
        return scores


def _fingerprint(processor: Any) -> Hashable:
    """Equal for processors that do the same: `generate` makes new temperature and penalty objects for every call."""
    fields = vars(processor) if hasattr(processor, "__dict__") else {}
    if type(processor).__module__.startswith("transformers.generation") and all(
        isinstance(value, (int, float, str, bool, type(None))) for value in fields.values()
    ):
        return (type(processor), *sorted(fields.items()))
    return id(processor)


def _split(processors: Iterable[Any]) -> tuple[ConstraintProcessor | None, list[Any]]:
    """The constraint of a processor list, and the rest in order."""
    constraint, rest = None, []
    for processor in processors:
        for part in getattr(processor, "parts", (processor,)):
            if isinstance(part, ConstraintProcessor):
                if constraint is not None:
                    raise UnsupportedGeneration("two constraints in one list", "Write one that means both.")
                constraint = part
            else:
                rest.append(part)
    return constraint, rest


def _check(model: Any, input_ids: torch.Tensor, criteria: Any, config: Any) -> None:
    if not config.do_sample or config.num_beams != 1:
        raise UnsupportedGeneration("aligned sampling draws texts", "Pass do_sample=True, and no beams.")
    if model.config.is_encoder_decoder:
        raise UnsupportedGeneration("aligned sampling is for decoder-only models")
    if input_ids.shape[1] == 0:
        raise UnsupportedGeneration("aligned sampling needs a prompt of ids, not of embeddings")
    for criterion in criteria or ():
        if type(criterion).__name__ not in ("MaxLengthCriteria", "EosTokenCriteria"):
            raise UnsupportedGeneration(
                f"{type(criterion).__name__} would cut texts short, and the law of whole texts is what is sampled",
                "Say in the constraint where a text ends, and limit its length with max_new_tokens.",
            )


def _takes_tree_masks(model: Any) -> bool:
    """Whether a 4-D mask reaches the attention as it is: sdpa or eager, every layer over the whole sequence."""
    config = model.config.get_text_config()
    if getattr(config, "_attn_implementation", None) not in ("sdpa", "eager"):
        return False
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    windowed = getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)
    return kinds == {"full_attention"} and not windowed


def _uniform() -> float:
    return float(torch.rand((), dtype=torch.float64))


def _eos(config: Any) -> list[int]:
    eos = config.eos_token_id
    return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)


def _pad(config: Any) -> int:
    if config.pad_token_id is not None:
        return int(config.pad_token_id)
    return int((_eos(config) or [0])[0])


def _nothing_to_draw() -> GenerationError:
    return GenerationError(
        "no text of the constraint has any probability under the processed law",
        "Truncation is part of that law: pass top_k=0 and top_p=1.0; look for processors that ban tokens.",
    )


def _no_end(limit: int) -> GenerationError:
    return GenerationError(
        f"no text was seen to end within {limit} tokens",
        "Raise max_new_tokens, or give it to the constraint too: guided.json(..., max_new_tokens=...) always ends. "
        "Truncation may have cut off what would end it: pass top_k=0 and top_p=1.0.",
    )


def _output(ids: torch.Tensor, results: list[_Result], pad: int, stats: AlignedStats) -> AlignedOutput:
    lines = [result.node.line() for result in results if result.node is not None]
    longest = max(len(line) - 1 for line in lines)
    tokens = torch.full((len(lines), longest), pad, dtype=torch.int64)
    mass = torch.full((len(lines), longest), float("nan"), dtype=torch.float64)
    log_probs = mass.clone()
    for row, (line, result) in enumerate(zip(lines, results, strict=True)):
        tokens[row, : len(line) - 1] = torch.tensor([node.token for node in line[1:]])
        log_probs[row, : len(line) - 1] = torch.tensor([node.log_prob for node in line[1:]], dtype=torch.float64)
        mass[row, : len(line) - 1] = torch.tensor(result.masses, dtype=torch.float64)
    return AlignedOutput(
        torch.cat([ids, tokens.to(ids.device)], dim=1),
        mass,
        log_probs,
        [result.exact for result in results],
        torch.tensor([result.language_mass for result in results], dtype=torch.float64),
        stats,
    )
