"""Runs JSONSchemaBench over engines and models, and reports.

    data.py       definitions: schemas with labelled instances; sources.py reads every form they come in
    engines/      one adapter file for each engine, all optional
    masks.py      paired mask timing and judgement (`masks`); mask_job.py for workers
    suite.py      verdicts on the official JSON Schema Test Suite (`suite`)
    walks.py      random walks under the mask to the end (`walks`)
    batch.py      masks of many sequences at once (`batch`)
    generation.py documents written by a real model (`generate`); quality.py asks it questions
    guard.py      workers that may die; runner.py skips what is done and appends what comes; cluster.py on Ray
    stats.py      percentiles, tallies and ratios; bootstrap.py their intervals; tables.py draws them
    records.py    results as JSON lines, with machine and versions
    report/       summaries as JSON, Markdown and one HTML page; what changed between two runs
    commands/     the command line, one file a command

Definitions, engines and records are three separate things; a run that answers wrongly has no time.
"""

from __future__ import annotations
