"""Run the examples of these pages on SmolLM2: python docs/methods/run_examples.py [PAGE ...]

Each page has a namespace of its own; the model is read from disk once and copied.
"""

from __future__ import annotations

import copy
import functools
import re
import sys
import time
from pathlib import Path

import guided.demo.model as demo

HERE = Path(__file__).parent


def blocks(page: Path) -> str:
    """The Python of a page, in order."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M))


def main() -> None:
    read = functools.cache(demo.load_smollm2)
    demo.load_smollm2 = lambda: copy.deepcopy(read())
    for page in [HERE / name for name in sys.argv[1:]] or sorted(HERE.glob("*.md")):
        code = blocks(page)
        if "load_smollm2" in code:
            start = time.perf_counter()
            print(f"--- {page.name}", flush=True)
            exec(compile(code, str(page), "exec"), {})
            print(f"    {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
