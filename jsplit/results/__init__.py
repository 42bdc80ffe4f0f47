"""From what happened to claims, as labelled data.

Here: `dataset` (results of a run), `bills` (the same decisions in other units),
`summary` (means, intervals, differences), `recovery` (after a change). Not here: the
formulas of intervals (`stats`) or how results look (`report`).
"""
