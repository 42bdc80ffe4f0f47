"""Rules fitted on a held-out part of a trace, to be judged on the rest.

Here: `split_trace`, which cuts a trace in two, functions that return a policy with one
plan, and `fit_rule`, which calls one by name. Not here: policies that learn while they
run (`policies`) or what runs them (`evaluation`).

=========================  ==========================================================
function                   what is fitted
=========================  ==========================================================
`best_split`               one exit and threshold, by mean reward
`budget_cascade`           a threshold per exit, for a mean cost (MSDNet)
`risk_controlled_cascade`  one threshold at all exits, for a drop in accuracy
`risk_controlled_split`    one exit and threshold, for a drop in accuracy
=========================  ==========================================================

The label of a fitted policy shows the numbers that were found. It also shows, as
"fitted_on", the first digits of the sha256 of the held-out trace. A result stores the
sha256 of its trace. Where the two agree, the policy is judged in hindsight: it is an
upper bound and no fair competitor.
"""

from jsplit.fitting.budget import budget_cascade
from jsplit.fitting.held_out import split_trace
from jsplit.fitting.named import RULES, fit_rule
from jsplit.fitting.risk import risk_controlled_cascade, risk_controlled_split
from jsplit.fitting.splits import best_split

__all__ = [
    "RULES",
    "best_split",
    "budget_cascade",
    "fit_rule",
    "risk_controlled_cascade",
    "risk_controlled_split",
    "split_trace",
]
