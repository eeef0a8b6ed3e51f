"""Mask times on the ready Lark grammars beside llguidance's Lark, paired: both engines, the same tokens, in turns.

    python benchmarks/grammar_masks.py [--tokenizer DIR] [--documents N] [--out FILE] [GRAMMAR ...]

Documents: the accepted examples of `grammars.library`, and derivations of its grammars that lark accepts. A document
counts where both engines accept it; the first of five passes over it is cold (rows are computed), the others are warm.
Where llguidance's dialect lacks something (templates, look-ahead), it gets the nearest grammar: a template written out,
a NAME that does not exclude keywords. That makes its work no harder.

All documents are texts that lark parses, so whoever refuses one is wrong by lark's rules ("refused by"). llguidance
refuses those that begin or end with ignored text (15 of JSON, most of SQL), and SQL in which a keyword is written
against a name: it takes the longest terminal where lark takes the first one that matches (`FROM__89` is `FROM` and a
name where a name cannot stand, `UNIONALLSELECT` three keywords), and it has no look-ahead to except keywords with.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from grammars import Matcher, Vocabulary, library
from tests.grammars.cfg.judging import derivations, lark_judge

PASSES = 5


def for_llguidance(text: str) -> str:
    """The text in llguidance's dialect."""
    text = re.sub(r"\(\?!\(\?:[^)]*\)\\b\)|\(\?!\[[^\]]*\]\)", "", text)
    text = re.sub(r"^\?(\w+):", r"\1:", text, flags=re.MULTILINE).replace("\\0", "\\x00")
    templates = dict(re.findall(r"^(\w+)\{name\}: (.*)$", text, flags=re.MULTILINE))
    text = re.sub(r"^\w+\{name\}:.*\n", "", text, flags=re.MULTILINE)
    for name, body in templates.items():
        for used in sorted(set(re.findall(rf'\b{name}\{{("\w+")\}}', text))):
            rule = f"{name}_{used[1:-1]}"
            own = re.sub(r"\bname\b", used, body)
            text = text.replace(f"{name}{{{used}}}", rule) + f"{rule}: {own}\n"
    return text


def documents(name: str, count: int) -> list[str]:
    """Examples, and derived texts that lark parses."""
    found = library.load(name)
    judge, random = lark_judge(found.text, {}), Random(name)
    derived = [t for t in derivations(found.text, {}, random, 20 * count) if 3 < len(t) < 400 and judge(t)]
    return [*found.accepted, *derived[:count]]


def measure(vocab: Vocabulary, tokenizer: Any, count: int, names: list[str]) -> dict[str, Any]:
    """Microseconds of each mask by grammar, engine and pass; how many documents counted."""
    import llguidance.hf
    from llguidance import LLMatcher

    theirs_tokenizer = llguidance.hf.from_tokenizer(tokenizer)
    words = (max(vocab.size, theirs_tokenizer.vocab_size) + 31) // 32
    row, other = np.zeros(vocab.words, np.int32), np.zeros(words, np.int32)
    out: dict[str, Any] = {}
    for name in names or library.names():
        found = library.load(name)
        if found.language != "lark":
            continue
        begin = time.perf_counter()
        grammar = found.compile()
        compiled = time.perf_counter() - begin
        begin = time.perf_counter()
        theirs = LLMatcher(theirs_tokenizer, LLMatcher.grammar_from_lark(for_llguidance(found.text)), log_level=0)
        their_compile = time.perf_counter() - begin
        if theirs.is_error():
            out[name] = {"error": theirs.get_error()[:200]}
            sys.stderr.write(f"{name}: llguidance says {theirs.get_error()[:200]}\n")
            continue
        times: dict[str, list[list[float]]] = {"guided": [[], []], "llguidance": [[], []]}
        counted, refused = 0, {"guided": 0, "llguidance": 0}
        for index, text in enumerate(documents(name, count)):
            tokens = tokenizer.encode(text, add_special_tokens=False)
            for which in range(PASSES):
                runs: dict[str, list[float] | None] = {}
                for engine in ("guided", "llguidance") if (index + which) % 2 else ("llguidance", "guided"):
                    runs[engine] = (
                        _ours(grammar, vocab, tokens, row) if engine == "guided" else _theirs(theirs, tokens, other)
                    )
                if runs["guided"] is None or runs["llguidance"] is None:
                    for engine, spent in runs.items():
                        refused[engine] += spent is None
                    break
                counted += which == 0
                for engine, spent in runs.items():
                    times[engine][min(which, 1)] += spent or []
        out[name] = {
            "documents": counted, "refused by": refused,
            "compile ms": [round(compiled * 1e3, 1), round(their_compile * 1e3, 1)],
            **{f"{e} {kind}": _quantiles(times[e][i]) for e in times for i, kind in enumerate(("cold", "warm"))},
            "cold ratio": [round(float(np.quantile(times["guided"][0], q) / np.quantile(times["llguidance"][0], q)), 3)
                           for q in (0.5, 0.99)],
            "cold ms in all": [round(sum(times[e][0]) / 1e3, 1) for e in times],
        }  # fmt: skip
        sys.stderr.write(f"{name} {json.dumps(out[name])}\n")
        for engine in times:
            out.setdefault("all", {}).setdefault(engine, [[], []])
            for i in (0, 1):
                out["all"][engine][i] += times[engine][i]
    total = out.pop("all", None)
    if total is None:
        return out
    every = {engine: total[engine][0] + total[engine][1] for engine in total}
    out["all"] = {f"{e} {kind}": _quantiles(total[e][i]) for e in total for i, kind in enumerate(("cold", "warm"))}
    out["all"]["ratio"] = [
        round(float(np.quantile(every["guided"], q) / np.quantile(every["llguidance"], q)), 3) for q in (0.5, 0.99)
    ]
    return out


def _quantiles(values: list[float]) -> list[float]:
    """p50, p99, maximum."""
    return [round(float(v), 2) for v in (*np.quantile(values, (0.5, 0.99)), max(values))] if values else []


def _ours(grammar: Any, vocab: Vocabulary, tokens: list[int], row: Any) -> list[float] | None:
    matcher = Matcher(grammar, vocab)
    spent = []
    for token in tokens:
        begin = time.perf_counter()
        matcher.fill_mask(row)
        spent.append((time.perf_counter() - begin) * 1e6)
        if not row[token >> 5] >> (token & 31) & 1 or not matcher.accept(token):
            return None
    begin = time.perf_counter()
    matcher.fill_mask(row)
    spent.append((time.perf_counter() - begin) * 1e6)
    return spent if matcher.is_accepting() else None


def _theirs(matcher: Any, tokens: list[int], row: Any) -> list[float] | None:
    matcher.reset()
    spent = []
    for token in tokens:
        begin = time.perf_counter()
        matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
        spent.append((time.perf_counter() - begin) * 1e6)
        if not row[token >> 5] >> (token & 31) & 1 or not matcher.consume_token(token):
            return None
    begin = time.perf_counter()
    matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
    spent.append((time.perf_counter() - begin) * 1e6)
    return spent if matcher.is_accepting() else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", default="")
    parser.add_argument("--documents", type=int, default=30)
    parser.add_argument("--out", type=Path)
    parser.add_argument("names", nargs="*", metavar="GRAMMAR", help="of the library; all where none is given")
    arguments = parser.parse_args()
    if arguments.tokenizer:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    else:
        import transformers

        from guided.demo.model import smollm2_file

        path = smollm2_file()
        tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    vocab = Vocabulary.from_tokenizer(tokenizer)
    warm = Matcher(library.load("arithmetic").compile(), vocab)  # machine code is compiled before anything is timed
    warm.fill_mask(np.zeros(vocab.words, np.int32))
    found = measure(vocab, tokenizer, arguments.documents, arguments.names)
    text = json.dumps({"tokenizer": vocab.size, **found}, indent=1)
    if arguments.out:
        arguments.out.write_text(text)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
