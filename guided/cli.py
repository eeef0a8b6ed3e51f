"""The command line: `guided demo | generate | check | grammar | explain | warmup`.

Thin: each command reads its files, calls the public API and prints. What a user did wrong goes to stderr with exit
code 2 (a schema that cannot be compiled, a file that is not there); exit code 1 means "the answer is no".
Heavy imports (torch, transformers, the engine) wait until a command needs them, so that `--help` is instant.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from grammars.errors import GuidedError

if TYPE_CHECKING:
    from grammars import Grammar, Matcher, Vocabulary

__all__ = ["app", "main"]

app = typer.Typer(
    name="guided",
    help="Constrained decoding for transformers: a schema in, valid JSON out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)

SchemaOption = Annotated[Path, typer.Option("--schema", "-s", help="File with a JSON Schema; - reads standard input.")]
OrderOption = Annotated[
    Literal["schema", "any"], typer.Option("--property-order", help="schema: as declared; any: the full language.")
]
TokenizerOption = Annotated[
    str | None, typer.Option("--tokenizer", help="Folder or hub name; without it, single bytes are the tokens.")
]


class UsageProblem(GuidedError):
    """A file that cannot be read, or an argument that cannot be used."""


def main() -> NoReturn:
    """Entry point of the console script: typed errors become one readable message and exit code 2."""
    try:
        app()
    except GuidedError as error:
        fail(error)
    except BrokenPipeError:  # `guided ... | head`
        sys.exit(0)
    sys.exit(0)


def fail(error: GuidedError) -> NoReturn:
    """Print a typed error with its name on stderr and leave with exit code 2."""
    first, _, rest = str(error).partition("\n")
    err.print(f"[bold red]{type(error).__name__}[/]: {escape(first)}", highlight=False)
    if rest:
        err.print(escape(rest), highlight=False)
    sys.exit(2)


def read_text(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"cannot read {path}: {error}") from error


def read_json(path: Path) -> Any:
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageProblem(f"{path} is not JSON: {error}") from error


def byte_vocabulary() -> Vocabulary:
    """A vocabulary of the 256 bytes and an end token: enough to walk a grammar without a tokenizer."""
    import guided

    return guided.Vocabulary.from_bytes([*(bytes([value]) for value in range(256)), None], eos_ids=[256])


def load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except Exception as error:  # whatever a hub, a file system or a parser may raise
        raise UsageProblem(f"no tokenizer at {name!r}: {error}") from error


def next_bytes(matcher: Matcher, vocabulary: Vocabulary) -> list[int]:
    """The bytes that may follow, through a mask of the byte vocabulary."""
    import numpy as np

    row = np.zeros(vocabulary.words, dtype=np.int32)
    matcher.fill_mask(row)
    return [value for value in range(256) if row[value >> 5] >> (value & 31) & 1]


def show_bytes(values: list[int]) -> str:
    """Byte values for a reader: printable ones as they are, runs as ranges, the rest in hexadecimal."""
    if len(values) == 256:
        return "anything"
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])

    def name(value: int) -> str:
        return chr(value) if 0x20 < value < 0x7F else {0x20: "space", 0x0A: "newline"}.get(value, f"0x{value:02x}")

    return "  ".join(
        name(low) if low == high else f"{name(low)} {name(high)}" if high == low + 1 else f"{name(low)}..{name(high)}"
        for low, high in runs
    )


def walk(grammar: Grammar, text: str) -> tuple[Matcher, Vocabulary, int]:
    """Follow a text byte by byte: the matcher, its byte vocabulary, and how many bytes it took."""
    import guided

    vocabulary = byte_vocabulary()
    matcher = guided.Matcher(grammar, vocabulary)
    data = text.encode()
    if matcher.accept_bytes(data):
        return matcher, vocabulary, len(data)
    for position, value in enumerate(data):
        if not matcher.accept(value):
            return matcher, vocabulary, position
    return matcher, vocabulary, len(data)


def caret(text: str, taken: int) -> str:
    """The line of `text` where it went wrong, with a mark under the first refused character."""
    before = text.encode()[:taken].decode(errors="ignore")
    line_start = before.rfind("\n") + 1
    line = text[line_start:].partition("\n")[0]
    column = len(before) - line_start
    start = max(0, column - 60)
    number = before.count("\n") + 1
    return f"line {number}, column {column + 1}:\n  {line[start : start + 100]}\n  {' ' * (column - start)}^"


def show_bans(matcher: Matcher, token: int) -> None:
    """The keywords that forbid a token, one a line."""
    for ban in matcher.explain(token).bans:
        if ban.kind == "json" and token >= 256:
            out.print("  the document is incomplete")
        else:
            out.print(f"  banned by {escape(str(ban))}", highlight=False)


@app.command()
def demo(
    tokens: Annotated[int, typer.Option(help="Most tokens for each output.")] = 96,
    only: Annotated[str | None, typer.Option(help="Run one case: record, nested, enums, ...")] = None,
) -> None:
    """Six schemas on SmolLM2-135M-Instruct: outputs, validity, speed with and without the constraint."""
    from guided.demo import run

    if not run(tokens=tokens, only=only):
        raise typer.Exit(1)


@app.command()
def generate(
    schema: SchemaOption,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What to ask, one user turn.")],
    model: Annotated[str | None, typer.Option(help="Folder or hub name; without it, the demo's model.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Most tokens; the output is always finished within them.")] = 200,
    temperature: Annotated[float, typer.Option(help="0: greedy; above: sample at this temperature.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the sampler.")] = 0,
    property_order: OrderOption = "schema",
) -> None:
    """Generate one JSON document that satisfies a schema."""
    specification = read_json(schema)
    import torch
    import transformers

    import guided
    from guided.demo.model import LoadedModel, load_smollm2

    with err.status("loading the model"):
        if model is None:
            loaded = load_smollm2()
        else:
            network = transformers.AutoModelForCausalLM.from_pretrained(model).eval()
            loaded = LoadedModel(model, network, load_tokenizer(model))
    constraint = guided.json(
        specification, tokenizer=loaded.tokenizer, property_order=property_order, max_new_tokens=max_new_tokens
    )
    inputs = loaded.chat(prompt) if loaded.tokenizer.chat_template else loaded.tokenizer(prompt, return_tensors="pt")
    torch.manual_seed(seed)
    choice: dict[str, Any] = {"do_sample": temperature > 0}
    if temperature > 0:
        choice["temperature"] = temperature
    ids = loaded.model.generate(**inputs, logits_processor=constraint, max_new_tokens=max_new_tokens, **choice)
    print(loaded.text(ids[0, inputs["input_ids"].shape[1] :]))


@app.command()
def check(
    schema: SchemaOption,
    instance: Annotated[Path | None, typer.Argument(help="File with a document; - reads standard input.")] = None,
    places: Annotated[bool, typer.Option("--places", help="List each keyword, and how it is enforced.")] = False,
) -> None:
    """Compile a schema, and say whether a document satisfies it; if not, where it leaves the language."""
    import guided

    specification = read_json(schema)
    report = guided.check(specification)
    for finding in report.findings:
        if places or finding.status in ("unsatisfiable", "unsupported"):
            mark = {"enforced": "[green]✓[/]", "annotation": "[dim]·[/]"}.get(finding.status, "[red]✗[/]")
            out.print(f"{mark} {escape(str(finding))}", highlight=False)
    if report.of("unsupported"):
        raise typer.Exit(1)
    start = time.perf_counter()
    grammar = guided.compile_json_schema(specification, property_order="any", whitespace="any", spelling="any")
    seconds = time.perf_counter() - start
    out.print(f"[green]✓[/] the schema compiles, nothing in it is ignored [dim]({seconds * 1e3:.1f} ms)[/]")
    if instance is None:
        return
    text = read_text(instance)
    matcher, vocabulary, taken = walk(grammar, text)
    if taken == len(text.encode()) and matcher.is_accepting():
        out.print("[green]✓[/] the document satisfies it")
        return
    from guided.demo.judge import Judge

    if taken == len(text.encode()):
        out.print("[red]✗[/] the document stops too early")
    else:
        out.print(f"[red]✗[/] the document leaves the language at {escape(caret(text, taken))}", highlight=False)
    out.print(f"  possible here: {escape(show_bytes(next_bytes(matcher, vocabulary)))}", highlight=False)
    data = text.encode()
    show_bans(matcher, data[taken] if taken < len(data) else vocabulary.eos_ids[0])
    if reason := Judge(specification).complaint(text):
        out.print(f"  jsonschema says: {escape(reason)}", highlight=False)
    raise typer.Exit(1)


@app.command()
def explain(
    schema: SchemaOption,
    prefix: Annotated[str, typer.Option("--prefix", "-p", help="The beginning of a document.")] = "",
    tokenizer: TokenizerOption = None,
    token: Annotated[int | None, typer.Option(help="Explain one token id (needs --tokenizer).")] = None,
    property_order: OrderOption = "schema",
) -> None:
    """What may follow a beginning: forced text, possible characters, and why a token is banned."""
    import guided

    grammar = guided.compile_json_schema(read_json(schema), property_order=property_order)
    matcher, vocabulary, taken = walk(grammar, prefix)
    if taken < len(prefix.encode()):
        out.print(f"[red]✗[/] no document begins so: {escape(caret(prefix, taken))}", highlight=False)
        out.print(f"  possible here: {escape(show_bytes(next_bytes(matcher, vocabulary)))}", highlight=False)
        show_bans(matcher, prefix.encode()[taken])
        raise typer.Exit(1)
    out.print("[green]✓[/] some document begins so" + (" and may end here" if matcher.is_accepting() else ""))
    if forced := matcher.forced_bytes():
        out.print(f"  must follow: {escape(forced.decode(errors='replace'))}", highlight=False)
    possible = show_bytes(next_bytes(matcher, vocabulary)) or "nothing more"
    out.print(f"  possible next: {escape(possible)}", highlight=False)
    if tokenizer is None:
        if token is not None:
            raise UsageProblem("--token needs --tokenizer: a token id means nothing without its vocabulary")
        return
    explain_tokens(grammar, prefix, guided.Vocabulary.from_tokenizer(load_tokenizer(tokenizer)), token)


def explain_tokens(grammar: Grammar, prefix: str, vocabulary: Vocabulary, token: int | None) -> None:
    """The token side of `explain`: how many are allowed, some of them, and the engine's word on one."""
    import numpy as np

    import guided

    matcher = guided.Matcher(grammar, vocabulary)
    matcher.accept_bytes(prefix.encode())
    row = np.zeros(vocabulary.words, dtype=np.int32)
    matcher.fill_mask(row)
    allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")[: vocabulary.size])
    shown = "  ".join(repr(vocabulary.token_bytes(int(i)).decode(errors="replace")) for i in allowed[:24])
    more = "  ..." if len(allowed) > 24 else ""
    out.print(f"  {len(allowed):,} of {vocabulary.size:,} tokens: {escape(shown)}{more}", highlight=False)
    if token is not None:
        out.print(f"  token {token}: {escape(str(matcher.explain(token)))}", highlight=False)


@app.command()
def grammar(
    file: Annotated[Path, typer.Argument(help="A grammar: name.lark, name.gbnf or name.ebnf.")],
    text: Annotated[Path | None, typer.Argument(help="File with a text; - reads standard input.")] = None,
    parser: Annotated[Literal["lalr", "earley"], typer.Option(help="Of a Lark grammar.")] = "lalr",
) -> None:
    """Compile a grammar, tell of rules that are of no use, and say whether a text belongs to it; if not, where not."""
    import warnings

    import guided

    kinds = {".lark": guided.compile_lark, ".gbnf": guided.compile_gbnf, ".ebnf": guided.compile_ebnf}
    compiler = kinds.get(file.suffix)
    if compiler is None:
        raise UsageProblem(f"{file} is none of {', '.join(kinds)}: the ending tells which language it is in")
    options: dict[str, Any] = {"parser": parser} if file.suffix == ".lark" else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", guided.GrammarWarning)
        compiled = compiler(read_text(file), **options)
    for warning in caught:
        out.print(f"[yellow]![/] {escape(str(warning.message))}", highlight=False)
    out.print("[green]✓[/] the grammar compiles")
    if text is None:
        return
    content = read_text(text)
    matcher, vocabulary, taken = walk(compiled, content)
    if taken == len(content.encode()) and matcher.is_accepting():
        out.print("[green]✓[/] the text belongs to it")
        return
    if taken == len(content.encode()):
        out.print("[red]✗[/] the text stops too early")
    else:
        out.print(f"[red]✗[/] the text leaves the language at {escape(caret(content, taken))}", highlight=False)
    out.print(f"  possible here: {escape(show_bytes(next_bytes(matcher, vocabulary)))}", highlight=False)
    raise typer.Exit(1)


@app.command()
def warmup(tokenizer: TokenizerOption = None) -> None:
    """Compile the kernels and read a tokenizer now, so that the first request does not pay for it."""
    import numpy as np

    import guided

    start = time.perf_counter()
    from grammars.kernels.cache import prepare_all
    from processors.kernels.warming import warm_up

    prepare_all()
    warm_up()
    schema = {"type": "array", "items": {"type": ["string", "number", "object", "boolean"], "maxLength": 9}}
    grammar = guided.compile_json_schema(schema)
    vocabulary = byte_vocabulary()
    matcher = guided.Matcher(grammar, vocabulary)
    row = np.zeros(vocabulary.words, dtype=np.int32)
    for value in b'["as long", 1.5, {"b": true}, "123456789"]':
        matcher.fill_mask(row)
        matcher.accept(value)
    matcher.fill_mask(row, 9)
    matcher.forced_bytes()
    matcher.reset()
    out.print(f"[green]✓[/] kernels ready [dim]({time.perf_counter() - start:.1f} s)[/]")
    if tokenizer is None:
        return
    loaded = load_tokenizer(tokenizer)
    start = time.perf_counter()
    vocabulary = guided.Vocabulary.from_tokenizer(loaded)
    row = np.zeros(vocabulary.words, dtype=np.int32)
    guided.Matcher(grammar, vocabulary).fill_mask(row)
    out.print(f"[green]✓[/] {vocabulary.size:,} tokens ready [dim]({time.perf_counter() - start:.1f} s)[/]")


@app.command("train-heads", context_settings={"ignore_unknown_options": True}, add_help_option=False)
def train_heads(arguments: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Train draft heads on a model's own texts, for faster free text. `guided train-heads --help` for its options."""
    from guided.drafters.heads.command import app as heads  # loads torch

    heads(arguments or [], prog_name="guided train-heads", standalone_mode=False)
