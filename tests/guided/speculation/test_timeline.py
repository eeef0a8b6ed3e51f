"""The picture of a run is well-formed and holds every token."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from guided.speculation.stats import Round, Stats
from guided.speculation.timeline import timeline_svg


def test_the_picture_is_well_formed_and_complete() -> None:
    stats = Stats(passes=2, tokens=4)
    first, other = Round(0, (1, 2), ("forced", ""), 3, 0.05), Round(1, (9,), ("",), 1, 0.04)
    stats.rounds = [first, Round(0, (3,), ("<b&>",), 2, 0.04), other]
    picture = ElementTree.fromstring(timeline_svg(stats, lambda token: f"<{token}> "))
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    tokens = [text for text in texts if text and text.startswith("<") and text[1].isdigit()]
    assert tokens == ["<1>\u2423", "<2>\u2423", "<3>\u2423"]
    assert "1: 3 nodes, 50 ms" in texts and "<b&>" in texts
    boxes = list(picture.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(boxes) == 3 + 3  # the legend's, and the tokens' of row 0
