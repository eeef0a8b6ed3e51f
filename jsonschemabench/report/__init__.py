"""Reports: a file of records becomes a summary (plain numbers), and summaries become JSON, Markdown and one HTML page.

summary.py    records -> summary, one for each mode
markdown.py   summaries -> Markdown
page.py       summaries -> one self-contained HTML page; plots.py draws its pictures as inline SVG
compare.py    what differs between two runs
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grammars.errors import GuidedError
from jsonschemabench.report.summary import summary_of

__all__ = ["load_summaries", "summary_of", "write_all"]


def write_all(path: Path, summaries: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write `path`.json, .md and .html; returns what was written."""
    from jsonschemabench.report.markdown import markdown
    from jsonschemabench.report.page import page

    base = path.with_suffix("") if path.suffix in (".json", ".md", ".html") else path
    base.parent.mkdir(parents=True, exist_ok=True)
    contents = {
        ".json": json.dumps({"summaries": list(summaries)}, indent=1),
        ".md": markdown(summaries),
        ".html": page(summaries),
    }
    for suffix, content in contents.items():
        Path(f"{base}{suffix}").write_text(content, encoding="utf-8")
    return [Path(f"{base}{suffix}") for suffix in contents]


def load_summaries(path: Path) -> list[dict[str, Any]]:
    """The summaries in a report's JSON, or of a file of records."""
    from jsonschemabench.runner import Results

    if not path.is_file():
        raise GuidedError(f"no file {path}.\n  Give a report's .json, or a file of records that --out named.")
    if path.suffix == ".json":
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "summaries" in content:
            found: list[dict[str, Any]] = content["summaries"]
            return found
    return [summary_of(Results(path))]
