"""Typed values, tools and free text with SmolLM2-135M; skipped where the package that carries it is missing."""

from __future__ import annotations

import datetime
from contextlib import ExitStack
from typing import Annotated, Any

import pytest
import torch
from pydantic import BaseModel, Field
from transformers import DynamicCache

import guided
from guided.demo.model import LoadedModel, ModelMissing, load_smollm2
from guided.speculation.draft import Draft
from guided.speculation.lean import lean_layers
from guided.speculation.narrow import narrow_passes, products_of
from guided.speculation.passes import Passes


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    try:
        return load_smollm2()
    except ModelMissing as error:
        pytest.skip(f"no SmolLM2: {error}")


class Trip(BaseModel):
    city: Annotated[str, Field(max_length=12)]
    day: datetime.date
    friends: set[str] = Field(max_length=2)


def weather(city: str, days: int) -> str:
    return f"{city} {days}"


def test_a_model_is_read_back_from_generate(loaded: LoadedModel) -> None:
    constraint = guided.json(Trip, tokenizer=loaded.tokenizer, model=loaded.model, max_new_tokens=60)
    out = guided.generate(loaded.model, loaded.chat("Plan a trip, as JSON."), constraint, max_new_tokens=60)
    assert isinstance(out.parsed, Trip) and isinstance(out.parsed.day, datetime.date)


def test_text_a_call_and_text_with_untouched_scores(loaded: LoadedModel) -> None:
    constraint = guided.tools(
        [weather], format="hermes", tool_choice="required", parallel=False, tokenizer=loaded.tokenizer,
        model=loaded.model, max_new_tokens=70,
    )  # fmt: skip
    inputs = loaded.chat("What will the weather be in Bern?")
    out: Any = loaded.model.generate(
        **inputs, logits_processor=constraint, do_sample=False, max_new_tokens=70, output_scores=True,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    written = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    (call,) = constraint.parse(written).calls
    assert call().startswith(call.arguments["city"])
    eos = loaded.model.generation_config.eos_token_id
    for at in range(20):
        assert "<" not in loaded.tokenizer.decode(written[:at])
        expected = out.logits[at].clone()
        expected[:, eos] = float("-inf")
        assert torch.equal(out.scores[at], expected)


def test_a_span_of_the_passage(loaded: LoadedModel) -> None:
    passage = "The bridge was opened in 1893 by Anna Keller, who had drawn its plans as a student in Zürich."
    constraint = guided.substring(
        passage, boundary="words", tokenizer=loaded.tokenizer, model=loaded.model, max_new_tokens=12
    )
    out = guided.generate(loaded.model, loaded.chat(f"{passage} Who opened the bridge?"), constraint, max_new_tokens=12)
    assert out.parsed in passage


@torch.no_grad()
def test_narrow_passes_give_the_models_logits(loaded: LoadedModel) -> None:
    model, ids = loaded.model, loaded.chat("Name three rivers.")["input_ids"]
    root, after = int(ids[0, -1]), [788, 260, 1075]
    drafts = [Draft(root), Draft(after[0])]
    drafts[1].chain(0, after[1:], "")
    found = []
    modes: list[Any] = ["off", "auto"]
    for mode in modes:
        cache = DynamicCache(config=model.config)
        with ExitStack() as stack:
            if mode != "off":
                layers = stack.enter_context(lean_layers(model, products_of(model)))
                assert layers == model.config.num_hidden_layers
            stack.enter_context(narrow_passes(model, mode))
            passes = Passes(model, {"cache": cache, "use_cache": True, "logits_to_keep": 1}, 1)
            found.append(
                [passes.prefill(ids[:, :-1], model.generation_config), *(passes.run([draft]) for draft in drafts)]
            )
    for own, ours in zip(*found, strict=True):
        assert torch.allclose(own, ours, atol=1e-4)


def test_greedy_output_is_plain_generates(loaded: LoadedModel) -> None:
    inputs = loaded.chat("Write as JSON: Ann goes to Bern on 3 May 2024 with Joe.")
    constraint = guided.json(Trip, tokenizer=loaded.tokenizer, model=loaded.model)
    plain = loaded.model.generate(**inputs, logits_processor=constraint, max_new_tokens=24, do_sample=False)
    out = guided.generate(loaded.model, inputs, constraint, max_new_tokens=24, do_sample=False)
    assert torch.equal(out.sequences, plain) and out.stats.passes < 20
