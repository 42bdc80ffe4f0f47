"""From what happened to claims, as labelled data.

Here: the kinds that users hold (`result`, `tables`, both `labelled`, in `files`); what
a run was (`building`, `bills`, `curves`), what it measures (`metrics`), parts put
together (`joining`); and the claims: `summary` (means, intervals, differences),
`conditions`, `recovery`. Not here: formulas of intervals (`stats`), how results look
(`report`).
"""
