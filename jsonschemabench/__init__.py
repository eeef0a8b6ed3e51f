"""Runs JSONSchemaBench over engines and models, and reports.

    data.py       definitions: schemas with labelled instances
    engines/      one adapter file for each engine, all optional
    suite.py      verdicts on the official JSON Schema Test Suite (`suite`)
    masks.py      paired mask timing and judgement (`masks`)
    walks.py      random walks under the mask to the end (`walks`)
    generation.py documents written by a real model (`generate`)
    guard.py      workers that may die; runner.py skips what is done and appends what comes
    commands/     the command line, one file a command
    stats.py      percentiles, tallies and ratios; tables.py draws them
    records.py    results as JSON lines, with machine and versions

Definitions, engines and records are three separate things; a run that answers wrongly has no time.
"""

from __future__ import annotations
