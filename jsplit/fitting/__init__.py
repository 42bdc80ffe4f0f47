"""Rules fitted on a held-out part of a trace, to be judged on the rest.

Here: `split_trace`, which cuts a trace in two, functions that return a policy with one
plan, and `fit_rule`, which calls one by name. Not here: policies that learn while they
run (`policies`) or what runs them (`evaluate`, `exact_values`).

=========================  ==========================================================
function                   what is fitted
=========================  ==========================================================
`best_split`               one exit and threshold, by mean reward
`budget_cascade`           a threshold per exit, for a mean cost (MSDNet)
`risk_controlled_cascade`  one threshold at all exits, for a drop in accuracy
`risk_controlled_split`    one exit and threshold, for a drop in accuracy
=========================  ==========================================================

A fitted policy's label names the numbers that were found and, as `fitted_on`, the first
digits of the held-out trace's sha256. A result judged on that same trace, whose sha256
it stores, is in hindsight: an upper bound, no fair competitor.
"""

from jsplit.fitting.budget import budget_cascade
from jsplit.fitting.named import RULES, fit_rule
from jsplit.fitting.parts import split_trace
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
