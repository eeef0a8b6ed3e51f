"""What differs between two runs: verdicts that changed, coverage, times beyond their uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Change", "compare"]

Summary = Mapping[str, Any]

SLOWER = 1.10
"""A time counts as changed from 10% on: two runs of one program differ by less where ratios are paired."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number or verdict of both runs; `worse` None where more is neither good nor bad."""

    mode: str
    engine: str
    what: str
    before: str
    after: str
    worse: bool | None


def compare(before: Summary, after: Summary) -> Iterator[Change]:
    """Changes of every engine that both runs have; both summaries are of one mode."""
    mode = before["mode"]
    for engine in (name for name in before["engines"] if name in after["engines"]):
        yield from OF_MODE[mode](mode, engine, before, after)


def counts(
    mode: str, engine: str, old: Mapping[str, Any], new: Mapping[str, Any], more_is_better: set[str]
) -> Iterator[Change]:
    for key in old:
        if old[key] != new.get(key, old[key]):
            risen = new[key] > old[key]
            worse = risen != (key in more_is_better)
            neutral = key in ("schemas", "instances")
            yield Change(
                mode, engine, key.replace("_", " "), f"{old[key]:,}", f"{new[key]:,}", None if neutral else worse
            )


def masks(mode: str, engine: str, before: Summary, after: Summary) -> Iterator[Change]:
    old, new = before["engines"][engine], after["engines"][engine]
    yield from counts(mode, engine, old["tally"], new["tally"], {"compiled", "passed"})
    failed = [{(f["split"], f["name"]): f["kind"] for f in s["failures"] if f["engine"] == engine}
              for s in (before, after)]  # fmt: skip
    for key in sorted(failed[0].keys() | failed[1].keys()):
        was, now = (side.get(key, "passes") for side in failed)
        if was != now:
            worse = True if was == "passes" else False if now == "passes" else None
            yield Change(mode, engine, f"schema {key[0]}/{key[1]}", was, now, worse)
    for section in ("ttfm", "tbm", "advance"):
        for name, value in old[section]["values"].items():
            yield from timing(mode, engine, f"{section} {name}, µs", value, new[section]["values"][name])
    if engine in before["pairs"] and engine in after["pairs"]:
        for kind in ("mask", "step", "ttfm"):
            ratios = [side["pairs"][engine][kind]["ratios"] for side in (before, after)]
            for name in ratios[0].keys() & ratios[1].keys():
                what = f"{before['first']} / {engine}, {kind} {name}"
                apart = ratios[1][name][1] > ratios[0][name][2] or ratios[1][name][2] < ratios[0][name][1]
                if apart:
                    yield from timing(mode, before["first"], what, ratios[0][name][0], ratios[1][name][0])


def timing(mode: str, engine: str, what: str, old: float, new: float) -> Iterator[Change]:
    if old > 0 and new > 0 and not 1 / SLOWER < new / old < SLOWER:
        yield Change(mode, engine, what, f"{old:.3g}", f"{new:.3g}", new > old)


def suite(mode: str, engine: str, before: Summary, after: Summary) -> Iterator[Change]:
    totals = (side["engines"][engine]["total"] for side in (before, after))
    yield from counts(mode, engine, next(totals), next(totals), {"right"})
    wrong = [{(f["draft"], f["file"], f["group"], f["case"]): f for f in s["failures"] if f["engine"] == engine}
             for s in (before, after)]  # fmt: skip
    for key in sorted(wrong[0].keys() | wrong[1].keys()):
        was, now = (side[key]["outcome"] if key in side else "right" for side in wrong)
        if was != now:
            case = wrong[0].get(key) or wrong[1][key]
            worse = True if was == "right" else False if now == "right" else None
            yield Change(mode, engine, f"{key[0]}/{key[1]}: {case['description']}", was, now, worse)


def generate(mode: str, engine: str, before: Summary, after: Summary) -> Iterator[Change]:
    old, new = before["engines"][engine], after["engines"][engine]
    for key in old:
        if isinstance(old[key], int | float) and old[key] != new.get(key):
            better_high = key in ("declared", "empirical", "true", "compliance", "tokens_per_second", "accuracy")
            if isinstance(new.get(key), int | float):
                yield Change(mode, engine, key.replace("_", " "), f"{old[key]:.4g}", f"{new[key]:.4g}",
                             (new[key] < old[key]) == better_high)  # fmt: skip


OF_MODE = {"masks": masks, "suite": suite, "generate": generate}
