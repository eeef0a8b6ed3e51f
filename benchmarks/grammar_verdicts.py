"""How many verdicts on texts agree with lark (Lark grammars) and with an Earley recogniser (GBNF).

    python benchmarks/grammar_verdicts.py [--walks N] [--mutations N]

Over the thirty Lark grammars of the tests and the ready ones, and the twenty-five in GBNF: random walks under the mask
must be parsed, derived texts accepted, and one-character mutations judged alike. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from grammars import compile_gbnf, compile_lark, library
from tests.grammars.cfg.earley import Earley
from tests.grammars.cfg.gbnf_grammars import GBNF_GRAMMARS
from tests.grammars.cfg.judging import accepts, derivations, lark_judge, mutations, walks
from tests.grammars.cfg.lark_grammars import LARK_GRAMMARS


def _grammars() -> Iterator[tuple[str, Any, Callable[[str], bool], list[str], Callable[[Random, int], list[str]]]]:
    for name, (text, options, samples) in LARK_GRAMMARS.items():
        yield name, compile_lark(text, **options), lark_judge(text, options), list(samples), _derived(text, options)
    for name in library.names():
        ready = library.load(name)
        if ready.language == "lark":
            yield (
                f"library {name}",
                ready.compile(),
                lark_judge(ready.text, {}),
                list(ready.accepted),
                _derived(ready.text, {}),
            )
    for name, (text, samples) in GBNF_GRAMMARS.items():
        oracle = Earley(text)
        yield f"gbnf {name}", compile_gbnf(text), oracle.accepts, list(samples), _from_earley(oracle, samples)


def _derived(text: str, options: dict[str, Any]) -> Callable[[Random, int], list[str]]:
    return lambda random, count: [t for t in derivations(text, options, random, count) if len(t) < 200]


def _from_earley(oracle: Earley, samples: tuple[str, ...]) -> Callable[[Random, int], list[str]]:
    pool = "".join(sorted(set("".join(samples)) | set('a1 "')))

    def derive(random: Random, count: int) -> list[str]:
        found = [oracle.derive(random, 12, pool) for _ in range(count)]
        return [t for t in found if t is not None and len(t) < 80]

    return derive


def main() -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walks", type=int, default=20)
    parser.add_argument("--mutations", type=int, default=150, help="for each grammar")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    for name, grammar, judge, samples, derive in _grammars():
        if arguments.names and name not in arguments.names:
            continue
        random, begin, found = Random(name), time.perf_counter(), Counter[str]()
        kind = "gbnf " if name.startswith("gbnf") else ""
        walked = list(walks(grammar, random, arguments.walks, 20, tuple(samples)))
        walked = [t for t in walked if not kind or len(t) < 120]  # the recogniser is cubic
        found["walks"] = len(walked)
        found["walks not parsed"] = sum(not judge(t) for t in walked)
        texts = [t for t in derive(random, 2 * arguments.walks) if judge(t)]
        found["derived"] = len(texts) + len(samples)
        found["derived refused"] = sum(not accepts(grammar, t) for t in [*texts, *samples])
        seeds = [t for t in [*samples, *texts, *walked] if len(t) < 100] or [""]
        alphabet = "".join(sorted(set("".join(seeds)) | {"a", "1", " ", "("}))
        while found["mutations"] < arguments.mutations:
            for text in mutations(random.choice(seeds), random, alphabet, 5):
                verdict = judge(text)
                found["mutations"] += 1
                found["mutations that are texts"] += verdict
                found["mutations misjudged"] += accepts(grammar, text) != verdict
        for key, count in found.items():
            total[f"{kind}{key}"] += count
        sys.stdout.write(f"{name:28} {dict(found)} {time.perf_counter() - begin:.1f} s\n")
        sys.stdout.flush()
    sys.stdout.write(f"{dict(total)}\n")
    return int(any(count for key, count in total.items() if key.endswith(("parsed", "refused", "misjudged"))))


if __name__ == "__main__":
    raise SystemExit(main())
