"""Free text with constrained regions: text until a trigger, a region, and free text again.

One automaton over text and special tokens (`FreeText`), and not a switch between matchers: so a token may hold the end
of a trigger and the beginning of its region, going back and copying are those of any matcher, masks are remembered,
and a budget is met as anywhere. In free text the mask holds every token, those without text included, apart from EOS
while a region is still due; only a token that would complete a trigger and go on wrongly after it is banned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grammars.automaton.free_text import FreeText
from grammars.combine.lowering import Assembly, Recipe, compile_recipe, marker_words, part
from grammars.errors import GrammarError
from grammars.grammar import Grammar

__all__ = ["Marker", "Tag", "compile_tagged", "compile_until", "marker_grammar"]


@dataclass(frozen=True)
class Marker:
    """A text that begins or ends a region, and the tokens without text of their own that stand for it.

    `spelled`: whether the text may also be written with ordinary tokens.
    """

    text: str
    ids: tuple[int, ...] = ()
    spelled: bool = True

    def recipe(self) -> Recipe:
        """As a part of other recipes."""
        if not self.text and not self.ids:
            raise GrammarError(1, 1, "a marker without text or tokens stands everywhere", "Name a text.")
        return {"kind": "marker", "source": self.text, "ids": list(self.ids), "spelled": self.spelled}


@dataclass(frozen=True)
class Tag:
    """A region: after `trigger` comes a text of `body`, then `end` (None: nothing)."""

    trigger: Marker | str
    body: Any  # Grammar or str; a constraint where `guided.tagged` takes it
    end: Marker | str | None = None


def compile_tagged(tags: Sequence[Tag], *, at_least: int = 0, at_most: int | None = None) -> Grammar:
    """A grammar for free text with `at_least` to `at_most` regions (None: any number), each after its trigger.

    Each region may come in each place. Where no further region may come, none of the triggers may be written.

    Errors: `GrammarError` for triggers that are empty, equal, or can never be reached, since another one is part of
    them; `ValueError` for counts that make no sense; those of the bodies.
    """
    if at_least < 0 or (at_most is not None and at_most < max(1, at_least)):
        raise ValueError(f"{at_least} to {at_most} regions")
    if not tags:
        raise GrammarError(1, 1, "free text without a trigger has no regions", "Give at least one Tag.")
    triggers = [_marker(tag.trigger).recipe() for tag in tags]
    _check_triggers([marker_words(trigger) for trigger in triggers])
    regions = [
        {
            "trigger": trigger,
            "body": part(tag.body),
            "end": None if tag.end is None or tag.end == "" else _marker(tag.end).recipe(),
        }
        for tag, trigger in zip(tags, triggers, strict=True)
    ]
    return compile_recipe({"kind": "tagged", "source": regions, "at_least": at_least, "at_most": at_most})


def compile_until(marker: Marker | str, *, rest: bool = False) -> Grammar:
    """A grammar for free text up to and with the first `marker`; `rest`: and any text after it."""
    until: Recipe = {"kind": "until", "source": _marker(marker).recipe()}
    return compile_recipe({"kind": "then", "source": [until, {"kind": "free", "source": ""}]} if rest else until)


def marker_grammar(marker: Marker | str) -> Grammar:
    """A grammar for just the marker."""
    return compile_recipe(_marker(marker).recipe())


def _marker(given: Marker | str) -> Marker:
    return given if isinstance(given, Marker) else Marker(given)


def _check_triggers(spellings: list[list[bytes]]) -> None:
    words = [(index, word) for index, several in enumerate(spellings) for word in several]
    for index, word in words:
        for other, shorter in words:
            if other == index or shorter not in word:
                continue
            if shorter == word:
                raise GrammarError(
                    1, 1, f"two regions have the trigger {word.decode(errors='replace')!r}", "Join their bodies by |."
                )
            if shorter in word[:-1]:
                raise GrammarError(
                    1,
                    1,
                    f"the trigger {word.decode(errors='replace')!r} is never reached: in it begins the region of "
                    f"{shorter.decode(errors='replace')!r}",
                    "Give both regions the shorter trigger, and let their bodies tell them apart.",
                )


def lower_tagged(assembly: Assembly, recipe: Recipe, following: int) -> int:
    """Stages by the number of regions so far; each waits for all triggers at once, in one terminal a trigger."""
    program, store = assembly.program, assembly.store
    program.specials = True
    regions, low, high = recipe["source"], recipe["at_least"], recipe["at_most"]
    triggers = [(i, word) for i, region in enumerate(regions) for word in marker_words(region["trigger"])]
    rest = store.start_of(FreeText(triggers))
    waiting = [store.start_of(FreeText(triggers, i)) for i in range(len(regions))]
    bodies = []
    for region in regions:
        after = program.done if region["end"] is None else assembly.lower(region["end"], program.done)
        bodies.append(assembly.lower(region["body"], after))

    def stage(count: int, beyond: int | None) -> list[int]:
        ways = [program.terminal(rest, following)] if count >= low else []
        if beyond is not None:
            ways += [program.terminal(q, program.call(body, beyond)) for q, body in zip(waiting, bodies, strict=True)]
        return ways

    if high is None:
        node = assembly.loop(lambda loop: stage(low, loop))
        last = low
    else:
        node = program.choice(stage(high, None))
        last = high
    for count in range(last - 1, -1, -1):
        node = program.choice(stage(count, node))
    return node
