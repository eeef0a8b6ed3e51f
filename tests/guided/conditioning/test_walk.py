"""ASAp and adaptive rejection, by enumeration: the law of a walk is computed exactly, under any bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from guided.conditioning.oracle import back_up, prune, tilted
from guided.conditioning.walk import Walks, walk
from tests.guided.conditioning import worlds


def uniforms(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return lambda: float(rng.random())


def law_of_walks(tree: Any, exact: bool) -> dict[tuple[int, ...], float]:
    """Probability of each text to come out of one walk under the present bounds; less than 1 in all if `exact`."""

    def below(node: Any, probability: float) -> Iterator[tuple[tuple[int, ...], float]]:
        row = tree.rows([node])[0]
        weights, total = tilted(node, row)
        if total <= 0.0:
            return
        if exact and node is not tree.root:
            probability *= total / node.bound
        for token, weight in zip(row.ids.tolist(), weights.tolist(), strict=True):
            share = probability * weight / total
            if token == worlds.EOS:
                yield tuple(node.path()), share
            elif share > 0.0:
                known = node.kids.get(token)
                kid = known or tree.adopt(node, token, row.prob(token))
                yield from below(kid, share)
                if known is None:  # enumeration must not look like knowledge
                    tree.forget(kid)
                    del node.kids[token]
                    tree.nodes -= 1

    return dict(below(tree.root, 1.0))


@pytest.mark.parametrize("name", worlds.LANGUAGES)
@pytest.mark.parametrize("walks", [0, 1, 3, 10])
def test_what_exact_walks_accept_is_the_conditional_law(tree: Any, name: str, walks: int) -> None:
    """Whatever was learnt so far; and the chance to arrive is Pr(language) / C(root)."""
    grown = tree(name)
    for number in range(walks):
        walk(grown, 1, uniforms(number), exact=bool(number % 2))
    law = law_of_walks(grown, exact=True)
    exact, mass = worlds.exact_law(name)
    arrive = sum(law.values())
    assert worlds.distance({text: share / arrive for text, share in law.items()}, exact) < 1e-5
    assert arrive == pytest.approx(mass / tilted(grown.root, grown.rows([grown.root])[0])[1], rel=1e-4)


@pytest.mark.parametrize("name", worlds.LANGUAGES)
def test_asap_converges_and_its_bounds_never_grow(tree: Any, name: str) -> None:
    grown = tree(name)
    exact, mass = worlds.exact_law(name)
    masked = worlds.masked_law(name)
    if name != "star":  # some of its prefixes cannot end within the limit: masks do not know that
        assert worlds.distance(law_of_walks(grown, exact=False), masked) < 1e-5  # nothing is known yet
    uniform, before = uniforms(0), 1.0
    for _ in range(300):
        walk(grown, 1, uniform, exact=False)
        assert mass - 1e-6 <= grown.root.bound <= before + 1e-12
        before = grown.root.bound
    assert worlds.distance(law_of_walks(grown, exact=False), exact) < 0.05 < worlds.distance(masked, exact)
    for text in exact:  # every text once
        node = grown.root
        for token in (*text, worlds.EOS):
            grown.rows([node])
            node = grown.child(node, token)
        back_up(node.line())
    assert worlds.distance(law_of_walks(grown, exact=False), exact) < 1e-5
    assert grown.root.bound == pytest.approx(mass, rel=1e-4)


@pytest.mark.parametrize(("width", "seed"), [(1, 0), (4, 1)])
def test_exact_samples_follow_the_law(tree: Any, width: int, seed: int) -> None:
    """Chi-square, 3,000 samples, cells with fewer than 5 expected joined; false alarms 1e-4 (seeds are fixed)."""
    exact, _ = worlds.exact_law("star")
    nodes, all_exact = Walks(tree("star"), uniforms(seed), width=width, max_passes=10_000).sample(3000, exact=True)
    assert all_exact
    found = worlds.frequencies(tuple(node.path()[:-1]) for node in nodes)
    assert set(found) <= set(exact)
    statistic, cells, rest, rest_found = 0.0, 0, 0.0, 0.0
    for text, share in exact.items():
        if share * 3000 < 5:
            rest, rest_found = rest + share, rest_found + found.get(text, 0.0)
        else:
            statistic += 3000 * (found.get(text, 0.0) - share) ** 2 / share
            cells += 1
    if rest * 3000 >= 5:
        statistic += 3000 * (rest_found - rest) ** 2 / rest
        cells += 1
    above = torch.special.gammaincc(torch.tensor((cells - 1) / 2), torch.tensor(statistic / 2))
    assert above > 1e-4


def test_masking_fails_the_same_measure() -> None:
    """The counter-test: on these languages token masking is far from the conditional law."""
    for name in worlds.LANGUAGES:
        assert worlds.distance(worlds.masked_law(name), worlds.exact_law(name)[0]) > 0.02, name


def test_used_up_passes_are_told(tree: Any) -> None:
    nodes, exact = Walks(tree("corner"), uniforms(0), max_passes=1).sample(50, exact=True)
    assert len(nodes) == 50 and not exact


def test_pruned_trees_stay_right(tree: Any) -> None:
    grown = tree("star")
    uniform = uniforms(5)
    for _ in range(50):
        walk(grown, 1, uniform, exact=True)
    bound = grown.root.bound
    prune(grown, 4)
    assert grown.nodes <= 4 + worlds.WIDTH and grown.root.bound == bound
    law = law_of_walks(grown, exact=True)
    arrive = sum(law.values())
    assert worlds.distance({text: share / arrive for text, share in law.items()}, worlds.exact_law("star")[0]) < 1e-5


def test_bounds_do_not_need_the_rows(tree: Any) -> None:
    """Backing up without rows (they were dropped) gives the same bounds."""
    kept, dropped = tree("corner"), tree("corner", memory=0)
    for grown in (kept, dropped):
        uniform = uniforms(2)
        for _ in range(30):
            walk(grown, 1, uniform, exact=True)
    assert dropped.root.bound == pytest.approx(kept.root.bound, rel=1e-5)
