"""Runs the demonstration's cases and draws what happened.

Each case is generated twice with the same prompt: under the constraint, then free for exactly as many tokens, so that
the two speeds can be compared. Mask time is the whole of our processor's call, one per token: find the state of the
row, fill the mask, apply it to the scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from grammars.errors import GuidedError
from guided.demo.cases import CASES, Case
from guided.demo.judge import Judge
from guided.demo.model import LoadedModel, load_smollm2

__all__ = ["Outcome", "StopWatch", "run_cases"]


WARM_UP = Case(
    name="warm-up",
    title="",
    shows="",
    schema={"type": "array", "items": {"type": ["string", "number"], "maxLength": 8}, "maxItems": 2},
    prompt="Write a JSON array.",
)


class StopWatch:
    """A processor around processors: times each call and reports each token."""

    def __init__(self, processors: Sequence[Callable[[Any, Any], Any]], on_token: Callable[[], None]) -> None:
        self._processors, self._on_token = tuple(processors), on_token
        self.seconds: list[float] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        start = time.perf_counter()
        for processor in self._processors:
            scores = processor(input_ids, scores)
        self.seconds.append(time.perf_counter() - start)
        self._on_token()
        return scores


@dataclass(slots=True)
class Outcome:
    """What one case gave; times in seconds, `problem` is what `jsonschema` has against the text ("" = nothing)."""

    case: Case
    text: str = ""
    problem: str = ""
    tokens: int = 0
    prepared: float = 0.0
    constrained: float = 0.0
    free: float = 0.0
    masks: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        return self.tokens / self.constrained

    @property
    def free_speed(self) -> float:
        return self.tokens / self.free


def generate(
    loaded: LoadedModel, prompt: str, processors: Sequence[Any], on_token: Callable[[], None], **options: Any
) -> tuple[Any, float, StopWatch]:
    """New token ids [n], seconds, and the stop watch; greedy."""
    import torch
    from transformers import LogitsProcessorList

    inputs = loaded.chat(prompt)
    watch = StopWatch(processors, on_token)
    start = time.perf_counter()
    with torch.inference_mode():
        ids = loaded.model.generate(**inputs, do_sample=False, logits_processor=LogitsProcessorList([watch]), **options)
    return ids[0, inputs["input_ids"].shape[1] :], time.perf_counter() - start, watch


def run_case(loaded: LoadedModel, case: Case, tokens: int, on_token: Callable[[], None]) -> Outcome:
    """Generate the case under its constraint, then freely for as many tokens."""
    import guided

    outcome = Outcome(case)
    start = time.perf_counter()
    constraint = guided.json(case.schema, tokenizer=loaded.tokenizer, max_new_tokens=tokens)
    outcome.prepared = time.perf_counter() - start
    ids, outcome.constrained, watch = generate(loaded, case.prompt, constraint, on_token, max_new_tokens=tokens)
    outcome.tokens, outcome.masks = len(ids), watch.seconds
    outcome.text = loaded.text(ids)
    outcome.problem = Judge(case.schema).complaint(outcome.text)
    n = outcome.tokens
    _, outcome.free, _ = generate(loaded, case.prompt, (), on_token, max_new_tokens=n, min_new_tokens=n)
    return outcome


def microseconds(seconds: Sequence[float]) -> tuple[float, float]:
    """Mean and 99th percentile of times, in microseconds."""
    values = np.asarray(seconds) * 1e6
    return float(values.mean()), float(np.percentile(values, 99))


def draw(outcome: Outcome, number: int) -> Panel:
    """One case as a panel: question, answer, verdict, cost."""
    case = outcome.case
    verdict = (
        Text("✓ jsonschema accepts it", style="bold green")
        if not outcome.problem
        else Text(f"✗ jsonschema: {outcome.problem}", style="bold red")
    )
    mean, p99 = microseconds(outcome.masks)
    cost = Text.assemble(
        f"{outcome.tokens} tokens   ",
        (f"{outcome.speed:.1f}", "bold"),
        f" tokens/s with the constraint, {outcome.free_speed:.1f} without   mask ",
        (f"{mean:.0f} µs", "bold"),
        f" mean, {p99:.0f} µs p99   schema ready in {outcome.prepared * 1e3:.1f} ms",
        style="dim",
    )
    body = Group(
        Text(case.prompt, style="italic cyan"),
        "",
        Syntax(outcome.text, "json", theme="ansi_dark", background_color="default", word_wrap=True),
        "",
        verdict,
        cost,
    )
    title = f"[bold]{number} {escape(case.title)}[/]  [dim]{escape(case.shows)}[/]"
    return Panel(body, title=title, title_align="left", border_style="green" if not outcome.problem else "red")


def summary(outcomes: Sequence[Outcome]) -> Table:
    """All cases in one table, with a line for the whole."""
    table = Table(title="guided: what it did and what it cost", title_style="bold", show_footer=True)
    tokens = sum(outcome.tokens for outcome in outcomes)
    constrained, free = sum(o.constrained for o in outcomes), sum(o.free for o in outcomes)
    mean, p99 = microseconds([second for outcome in outcomes for second in outcome.masks])
    valid = sum(not outcome.problem for outcome in outcomes)
    table.add_column("schema", footer="all")
    table.add_column("valid", footer=f"{valid} of {len(outcomes)}")
    table.add_column("tokens", justify="right", footer=str(tokens))
    table.add_column("tokens/s with", justify="right", footer=f"{tokens / constrained:.1f}")
    table.add_column("without", justify="right", footer=f"{tokens / free:.1f}")
    table.add_column("ratio", justify="right", footer=f"{free / constrained:.2f}")
    table.add_column("mask mean µs", justify="right", footer=f"{mean:.0f}")
    table.add_column("p99 µs", justify="right", footer=f"{p99:.0f}")
    for outcome in outcomes:
        mean, p99 = microseconds(outcome.masks)
        table.add_row(
            outcome.case.title,
            "[red]no[/]" if outcome.problem else "[green]yes[/]",
            str(outcome.tokens),
            f"{outcome.speed:.1f}",
            f"{outcome.free_speed:.1f}",
            f"{outcome.free / outcome.constrained:.2f}",
            f"{mean:.0f}",
            f"{p99:.0f}",
        )
    return table


def choose(only: str | None) -> tuple[Case, ...]:
    """All cases, or the one of that name."""
    if only is None:
        return CASES
    chosen = tuple(case for case in CASES if case.name == only)
    if not chosen:
        raise GuidedError(f"no case {only!r}.\n  There are: {', '.join(case.name for case in CASES)}")
    return chosen


def run_cases(*, tokens: int, only: str | None, console: Console | None = None) -> bool:
    """Run the cases, draw each as it is done, then the summary; True when all were valid."""
    console = console or Console()
    cases = choose(only)
    outcomes: list[Outcome] = []
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        loading = bar.add_task("loading SmolLM2-135M-Instruct", total=None)
        loaded = load_smollm2()
        bar.update(loading, description="first masks: compiling kernels, reading the vocabulary")
        # One short run ahead of the clock: it compiles what is compiled once in a machine's life.
        run_case(loaded, WARM_UP, 24, lambda: None)
        bar.remove_task(loading)
        total = bar.add_task("", total=len(cases) * 2 * tokens)
        for number, case in enumerate(cases, start=1):
            bar.update(total, description=f"{number}/{len(cases)} {case.title}")
            outcome = run_case(loaded, case, tokens, lambda: bar.advance(total))
            outcomes.append(outcome)
            bar.update(total, completed=number * 2 * tokens)
            bar.console.print(draw(outcome, number))
    console.print(summary(outcomes))
    return not any(outcome.problem for outcome in outcomes)
