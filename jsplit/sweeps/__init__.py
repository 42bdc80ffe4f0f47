"""Many questions: a grid of settings, each answered as `evaluate` would.

Here: `axes` (what varies), `fits` (rules fitted in every cell), `grid` (the cells),
`plan` (all of it, checked), `forecast` (what it would take), `rounds` and
`racing` (cells that stop early), `confirm` (the best again), `tasks` (pieces of work),
`chunks` (finished ones on disk), `work` (who does them), `sweep` (the function). Not
here: one question (`evaluation`), the numbers of all cells together (`results.runs`).
"""
