"""The pages of methods: every method has one, every link leads somewhere, every example names what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import guided

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "methods").glob("*.md"))


def test_the_table_names_public_functions_and_existing_pages() -> None:
    (table,) = [page for page in PAGES if page.name == "README.md"]
    rows = re.findall(r"^\| `guided\.(\w+)`.*\[\w+\]\((\w+\.md)\) \|$", table.read_text(encoding="utf-8"), re.M)
    assert len(rows) >= 11
    for name, page in rows:
        assert name in guided.__all__
        assert f"guided.{name}" in (table.parent / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_examples(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    for code in re.findall(r"^```python\n(.*?)^```", text, re.S | re.M):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "guided":
                assert node.attr in guided.__all__, node.attr
