"""`guided train-heads`: train draft heads for a model on its own texts.

Two steps, each bounded in time: the model writes (`--write-minutes`), heads learn from it (`--train-minutes`). The
defaults fit SmolLM2-135M on two CPU cores into half an hour. With `--corpus` what was written is kept, and used again
by the next run, which only trains.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from grammars.errors import GuidedError

__all__ = ["main", "train_heads"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
err = Console(stderr=True, soft_wrap=True)


class TrainingProblem(GuidedError):
    """Arguments that cannot be used together, or files that cannot be read."""


@app.command()
def train_heads(
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the heads (safetensors).")],
    kind: Annotated[Literal["medusa", "hydra", "feature"], typer.Option(help="Architecture.")] = "feature",
    model: Annotated[str | None, typer.Option(help="Folder or hub name; default: the demonstration's model.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Prompts, one a line; default: built-in ones.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Keep what the model wrote here, or use what is there.")] = None,
    write_minutes: Annotated[float, typer.Option(help="Time for the model to write.")] = 15.0,
    train_minutes: Annotated[float, typer.Option(help="Time for the heads to learn.")] = 10.0,
    tokens: Annotated[int, typer.Option(help="Tokens of a text at most.")] = 160,
    batch_size: Annotated[int, typer.Option(help="Texts written side by side.")] = 48,
    depth: Annotated[int, typer.Option(help="Tokens that are guessed ahead.")] = 4,
    width: Annotated[int, typer.Option(help="Inner width of the heads.")] = 512,
    rank: Annotated[int, typer.Option(help="Thin output matrices of this rank; 0: rows of the model's own.")] = 0,
    vocabulary: Annotated[int, typer.Option(help="Tokens that can be drafted.")] = 4096,
    epochs: Annotated[int, typer.Option(help="Passes over the corpus at most.")] = 8,
    seed: int = 0,
) -> None:
    """Write texts with the model, train heads on them, save the heads."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from guided.drafters.heads import Corpus, HeadsConfig, save_heads, train

    loaded, tokenizer = _load(model)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err) as progress:
        if corpus is not None and corpus.is_file():
            texts = Corpus.load(corpus)
        else:
            bar = progress.add_task("the model writes", total=60 * write_minutes)
            texts = _write(
                loaded, _prompts(prompts, tokenizer), tokens, batch_size, 60 * write_minutes, seed,
                lambda count, seconds: progress.update(
                    bar, completed=seconds, description=f"the model writes: {count:,} tokens"
                ),
            )  # fmt: skip
            if corpus is not None:
                texts.save(corpus)
        bar = progress.add_task("heads learn", total=1.0)

        def step(done: int, steps: int, loss: float) -> None:
            progress.update(bar, completed=done / steps, description=f"heads learn: loss {loss:.2f}")

        config = HeadsConfig(kind, texts.hidden.shape[1], depth, width, rank)
        heads, report = train(
            loaded, texts, config, vocabulary_size=vocabulary, epochs=epochs, max_seconds=60 * train_minutes, seed=seed,
            on_step=step,
        )  # fmt: skip
    save_heads(heads, out, tokens=len(texts), seconds=round(report.seconds), top1=report.top1, top4=report.top4)
    err.print(f"{kind} heads from {len(texts):,} tokens, {report.seconds:.0f} s of training: {out}")
    for k, (one, four) in enumerate(zip(report.top1, report.top4, strict=True), start=1):
        err.print(f"  {k} ahead: {one:.1%} of held-out tokens are the best guess, {four:.1%} among the best four")


def _load(name: str | None) -> tuple[Any, Any]:
    if name is None:
        from guided.demo.model import load_smollm2

        found = load_smollm2()
        return found.model, found.tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        return AutoModelForCausalLM.from_pretrained(name).eval(), AutoTokenizer.from_pretrained(name)
    except Exception as error:  # whatever a hub or a file system may raise
        raise TrainingProblem(f"cannot load a model from {name!r}: {error}") from error


def _prompts(path: Path | None, tokenizer: Any) -> list[Any]:
    """Prompts as ids, each one turn of the chat template where the tokenizer has one."""
    from guided.drafters.heads.prompts import built_in_prompts

    if path is None:
        lines = built_in_prompts(1 << 20)
    else:
        try:
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise TrainingProblem(f"cannot read prompts from {path}: {error}") from error
        if not lines:
            raise TrainingProblem(f"{path} has no prompts: one a line is expected")
    if tokenizer.chat_template is None:
        return [tokenizer(line, return_tensors="pt")["input_ids"][0] for line in lines]
    return [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": line}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )["input_ids"][0]
        for line in lines
    ]


def _write(model: Any, prompts: list[Any], tokens: int, batch_size: int, seconds: float, seed: int, report: Any) -> Any:
    """Until the time is over, or every prompt has been answered."""
    from guided.drafters.heads import Corpus, collect

    parts: list[Any] = []
    begun = time.perf_counter()
    for at in range(0, len(prompts), batch_size):
        if parts and time.perf_counter() - begun > seconds:
            break
        stretch = prompts[at : at + batch_size]
        parts.append(collect(model, stretch, max_new_tokens=tokens, batch_size=batch_size, seed=seed + at))
        report(sum(len(part) for part in parts), time.perf_counter() - begun)
    return Corpus.join(parts)


def main() -> None:
    """Entry point: typed errors become one message and exit code 2."""
    try:
        app()
    except GuidedError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: {error}", highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
