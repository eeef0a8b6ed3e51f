"""Constrained and guided decoding for transformers: all that a user imports.

    model.generate(**inputs, logits_processor=guided.json(schema, tokenizer=tokenizer))

constraints  json() regex() choice() any_json() batch(): each gives a list for `generate(logits_processor=...)`
steering     cad() adacad() icd() dola() lol() vdgd() contrastive_decoding() proxy_tuning() consult() ead() rapid()
sampling     mirostat() momentum(): samplers that compose with constraints
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
        GuidedError,
        Matcher,
        RegexError,
        SchemaError,
        TokenizerError,
        UnsatisfiableSchema,
        UnsupportedSchema,
        Vocabulary,
        compile_choice,
        compile_json_schema,
        compile_regex,
        fill_masks,
    )
    from guided.constraints import any_json, batch, choice, json, regex
    from guided.sampling import mirostat, momentum
    from guided.schemas import check, json_schema
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
    from guided.tokenizers import use_tokenizer
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
    "BudgetExceeded",
    "CompositionError",
    "ConstraintWarning",
    "DeadEnd",
    "Explanation",
    "GenerationError",
    "Grammar",
    "GrammarError",
    "GuidedError",
    "Matcher",
    "MirostatWarning",
    "ProcessorList",
    "RegexError",
    "SchemaError",
    "Stage",
    "TokenizerError",
    "UnsatisfiableSchema",
    "UnsupportedGeneration",
    "UnsupportedSchema",
    "Vocabulary",
    "adacad",
    "any_json",
    "batch",
    "cad",
    "check",
    "choice",
    "compile_choice",
    "compile_json_schema",
    "compile_regex",
    "consult",
    "contrastive_decoding",
    "dola",
    "ead",
    "fill_masks",
    "icd",
    "json",
    "json_schema",
    "lol",
    "mirostat",
    "momentum",
    "proxy_tuning",
    "rapid",
    "regex",
    "use_tokenizer",
    "vdgd",
]

_HOMES = {
    "guided.constraints": ("any_json", "batch", "choice", "json", "regex"),
    "guided.sampling": ("mirostat", "momentum"),
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
    "guided.tokenizers": ("use_tokenizer",),
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
    value = getattr(importlib.import_module(_HOME.get(name, "grammars")), name)
    globals()[name] = value  # looked up once
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
