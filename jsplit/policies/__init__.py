"""Policies: who decides where to split and when to ship.

Here: what a policy of your own is made of, from whatever package: a selector, plans,
statistics. `registry` is the table of contents; `base` is the contract; `plugins` finds
those of other packages; one file per family.

================================  ====================================================
name                              what it is for
================================  ====================================================
`Policy`, `Selector`              what to return, and what picks among its plans
`NoParams`                        the params of a selector that has no numbers
`IndexSelector`, `UCB`            `index`: plays the largest index; the UCB index
`over_splits`, `split_plans`      SplitEE's splits, as a policy and as plans
`plans`                           builders of other plans
`MeanStats`, `MomentStats`        running means, with variances too
`fold`, `known_rewards`           feedback into statistics, or as rewards per arm
`best_arm`, `one_hot`, `at_arm`   arms and their values, for any number of lanes
`on_unit_rewards`                 a selector that sees rewards scaled to [0, 1]
`make_policy`, `parse_policy`     a policy by its name and numbers, or by its label
`policy_names`                    the names there are
================================  ====================================================
"""

from jsplit.policies import plans
from jsplit.policies.base import (
    NoParams,
    Policy,
    Selector,
    at_arm,
    best_arm,
    one_hot,
)
from jsplit.policies.index import UCB, IndexSelector, UCBParams
from jsplit.policies.registry import make_policy, parse_policy, policy_names
from jsplit.policies.running import MeanStats, MomentStats, fold, known_rewards
from jsplit.policies.scaled import on_unit_rewards
from jsplit.policies.splitee import over_splits, split_plans

__all__ = [
    "UCB",
    "IndexSelector",
    "MeanStats",
    "MomentStats",
    "NoParams",
    "Policy",
    "Selector",
    "UCBParams",
    "at_arm",
    "best_arm",
    "fold",
    "known_rewards",
    "make_policy",
    "on_unit_rewards",
    "one_hot",
    "over_splits",
    "parse_policy",
    "plans",
    "policy_names",
    "split_plans",
]
