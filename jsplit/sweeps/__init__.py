"""Many questions: a grid of settings, each answered as `evaluate` would.

Here: `grid` (axes and their cells), `tasks` (pieces of work), `parcels` (how they
travel), `workers` (processes that do them), `work` (the loop over them), `chunks`
(finished ones on disk), `taken` (who is at which), `shares` (which are whose),
`merging` (folders seen from outside), `sweep` (the function). Not here: one question
(`evaluation`), the numbers of all cells together (`results.runs`).
"""

from jsplit.sweeps.merging import merge, status
from jsplit.sweeps.workers import Workers

__all__ = ["Workers", "merge", "status"]
