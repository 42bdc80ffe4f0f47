"""Many questions: a grid of settings, each answered as `evaluate` would.

Here: `grid` (axes and their cells), `tasks` (pieces of work), `chunks` (finished ones
on disk), `work` (who does them), `sweep` (the function). Not here: one question
(`evaluation`), the numbers of all cells together (`results.runs`).
"""
