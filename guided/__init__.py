"""Constrained and guided decoding for transformers: all that a user imports.

    model.generate(**inputs, logits_processor=guided.json(schema, tokenizer=tokenizer))

constraints  json() regex() choice() any_json() batch(): each gives a list for `generate(logits_processor=...)`
             substring() words() tagged() think() tools(), and then() optional() repeat() | & to combine them
             lark() gbnf() ebnf() library(): grammars
steering     cad() adacad() icd() dola() lol() vdgd() contrastive_decoding() proxy_tuning() consult() ead() rapid()
alignment    transfer_q() args() controlled_decoding(): tokens re-weighted by what they lead to
search       contrastive, diverse, conditional, superposed, blockwise: for `generate(custom_generate=...)`
generation   generate(), speculative(): several tokens a forward pass, by drafts that the constraint helps to make
drafters     ways of guessing what comes next
spans        exact_extract() project_label(): the best part of a text, the best place of marks
sampling     mirostat() momentum(): samplers that compose with constraints
conditioning aligned(): sampling from the model's law given the constraint
parsing      parse() and partial_json(): texts back to typed values
schemas      Python types -> JSON Schema
tokenizers   the process-wide default tokenizer, and what is read of a tokenizer and a model
cli, demo    the command `guided`

`import guided` loads nothing else: torch, transformers and numba come with the first name that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grammars import (
        BudgetExceeded,
        Explanation,
        Grammar,
        GrammarError,
        GrammarWarning,
        GuidedError,
        Marker,
        Matcher,
        RegexError,
        SchemaError,
        Tag,
        TokenizerError,
        UnsatisfiableSchema,
        UnsupportedGrammar,
        UnsupportedSchema,
        Vocabulary,
        compile_choice,
        compile_ebnf,
        compile_gbnf,
        compile_json_schema,
        compile_lark,
        compile_regex,
        compile_substring,
        compile_tagged,
        compile_words,
        fill_masks,
        set_memory_limit,
        stats,
    )
    from guided import drafters
    from guided.alignment import (
        args,
        classifier_reward,
        controlled_decoding,
        fit_value,
        transfer_q,
    )
    from guided.combinators import constrain, optional, repeat, then
    from guided.conditioning import AlignedOutput, AlignmentWarning, aligned
    from guided.constraints import any_json, batch, choice, json, regex, substring, words
    from guided.generation import GenerationOutput, generate, speculative
    from guided.parsing import Call, ParseError, parse, partial_json
    from guided.sampling import mirostat, momentum
    from guided.schemas import check, json_schema
    from guided.search import (
        NGrams,
        blockwise_decoding,
        conditional_beam_search,
        contrastive_search,
        diverse_beam_search,
        not_degenerate,
        superposed_decoding,
    )
    from guided.spans import (
        Projection,
        ReverseScore,
        Span,
        exact_extract,
        marked_texts,
        project_label,
        rerank_projections,
    )
    from guided.speculation.loop import SpeculationWarning
    from guided.speculation.stats import Stats
    from guided.steering import (
        adacad,
        cad,
        consult,
        contrastive_decoding,
        dola,
        ead,
        icd,
        lol,
        proxy_tuning,
        rapid,
        vdgd,
    )
    from guided.streaming import PartialStreamer
    from guided.tagging import Region, TaggedText, tagged, think
    from guided.tokenizers import use_tokenizer
    from guided.toolcalls import Tool, ToolReply, tools
    from guided.written import ebnf, gbnf, lark, library
    from processors import (
        CompositionError,
        ConstraintWarning,
        DeadEnd,
        GenerationError,
        MirostatWarning,
        ProcessorList,
        Stage,
        UnsupportedGeneration,
    )

__all__ = [
    "AlignedOutput",
    "AlignmentWarning",
    "BudgetExceeded",
    "Call",
    "CompositionError",
    "ConstraintWarning",
    "DeadEnd",
    "Explanation",
    "GenerationError",
    "GenerationOutput",
    "Grammar",
    "GrammarError",
    "GrammarWarning",
    "GuidedError",
    "Marker",
    "Matcher",
    "MirostatWarning",
    "NGrams",
    "ParseError",
    "PartialStreamer",
    "ProcessorList",
    "Projection",
    "RegexError",
    "Region",
    "ReverseScore",
    "SchemaError",
    "Span",
    "SpeculationWarning",
    "Stage",
    "Stats",
    "Tag",
    "TaggedText",
    "TokenizerError",
    "Tool",
    "ToolReply",
    "UnsatisfiableSchema",
    "UnsupportedGeneration",
    "UnsupportedGrammar",
    "UnsupportedSchema",
    "Vocabulary",
    "adacad",
    "aligned",
    "any_json",
    "args",
    "batch",
    "blockwise_decoding",
    "cad",
    "check",
    "choice",
    "classifier_reward",
    "compile_choice",
    "compile_ebnf",
    "compile_gbnf",
    "compile_json_schema",
    "compile_lark",
    "compile_regex",
    "compile_substring",
    "compile_tagged",
    "compile_words",
    "conditional_beam_search",
    "constrain",
    "consult",
    "contrastive_decoding",
    "contrastive_search",
    "controlled_decoding",
    "diverse_beam_search",
    "dola",
    "drafters",
    "ead",
    "ebnf",
    "exact_extract",
    "fill_masks",
    "fit_value",
    "gbnf",
    "generate",
    "icd",
    "json",
    "json_schema",
    "lark",
    "library",
    "lol",
    "marked_texts",
    "mirostat",
    "momentum",
    "not_degenerate",
    "optional",
    "parse",
    "partial_json",
    "project_label",
    "proxy_tuning",
    "rapid",
    "regex",
    "repeat",
    "rerank_projections",
    "set_memory_limit",
    "speculative",
    "stats",
    "substring",
    "superposed_decoding",
    "tagged",
    "then",
    "think",
    "tools",
    "transfer_q",
    "use_tokenizer",
    "vdgd",
    "words",
]

_HOMES = {
    "guided.alignment": (
        "args",
        "classifier_reward",
        "controlled_decoding",
        "fit_value",
        "transfer_q",
    ),
    "guided.combinators": ("constrain", "optional", "repeat", "then"),
    "guided.constraints": ("any_json", "batch", "choice", "json", "regex", "substring", "words"),
    "guided.parsing": ("Call", "ParseError", "parse", "partial_json"),
    "guided.streaming": ("PartialStreamer",),
    "guided.tagging": ("Region", "TaggedText", "tagged", "think"),
    "guided.toolcalls": ("Tool", "ToolReply", "tools"),
    "guided.written": ("ebnf", "gbnf", "lark", "library"),
    "guided.sampling": ("mirostat", "momentum"),
    "guided.conditioning": ("AlignedOutput", "AlignmentWarning", "aligned"),
    "guided.schemas": ("check", "json_schema"),
    "guided.steering": (
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
    ),
    "guided.search": (
        "NGrams",
        "blockwise_decoding",
        "conditional_beam_search",
        "contrastive_search",
        "diverse_beam_search",
        "not_degenerate",
        "superposed_decoding",
    ),
    "guided.spans": (
        "Projection",
        "ReverseScore",
        "Span",
        "exact_extract",
        "marked_texts",
        "project_label",
        "rerank_projections",
    ),
    "guided.tokenizers": ("use_tokenizer",),
    "guided.generation": ("GenerationOutput", "generate", "speculative"),
    "guided.speculation.loop": ("SpeculationWarning",),
    "guided.speculation.stats": ("Stats",),
    "processors": (
        "CompositionError",
        "ConstraintWarning",
        "DeadEnd",
        "GenerationError",
        "MirostatWarning",
        "ProcessorList",
        "Stage",
        "UnsupportedGeneration",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "drafters":
        return importlib.import_module("guided.drafters")
    value = getattr(importlib.import_module(_HOME.get(name, "grammars")), name)
    globals()[name] = value  # looked up once
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
