"""`python -m jsonschemabench COMMAND`: the commands put together."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.markup import escape

from grammars.errors import GuidedError
from jsonschemabench.commands import batch, generate, masks, reports, run, suite, walks
from jsonschemabench.commands.shared import err

__all__ = ["app", "main"]

app = typer.Typer(
    name="jsonschemabench",
    help="JSONSchemaBench over constrained-decoding engines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    run.run, masks.masks, suite.suite, walks.walks, batch.batch, generate.generate, reports.report, reports.compare,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)


def main() -> NoReturn:
    """Entry point: typed errors become one message and exit code 2."""
    try:
        app()
    except GuidedError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", highlight=False)
        sys.exit(2)
    sys.exit(0)
