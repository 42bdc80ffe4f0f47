"""Many questions: a grid of settings, each answered as `evaluate` would.

Here: `grid` (axes and their cells), `chunks` (finished cells on disk), `sweep` (the
loop over cells). Not here: one question (`evaluation`), the numbers of all cells
together (`results.runs`).
"""
