"""Many questions: a grid of settings, each answered as `evaluate` would.

Here: `axes` (what varies), `fits` (rules fitted in every cell), `grid` (the cells),
`plan` (all of it, checked), `forecast` (what it would take), `tasks` (pieces of work),
`replaying` (settings in one program), `work` (the loop over tasks), `parcels` (how they
travel), `workers` (processes that do them), `rounds` and `racing` (cells that stop
early), `confirm` (the best again), `chunks` (finished ones on disk), `shares`
(which are whose), `merging` (folders seen from outside), `sweep` (the function). Not
here: one question (`evaluation`), the numbers of all cells together (`results.runs`).
"""

from jsplit.sweeps.merging import merge, status
from jsplit.sweeps.workers import Workers

__all__ = ["Workers", "merge", "status"]
