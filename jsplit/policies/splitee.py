"""SplitEE, SplitEE-S and UCB1 over splits: where to split, learned without labels.

Here: the policies with one arm for each exit: run to it, answer there if confident,
otherwise ship. Not here: their index (`index`).
"""

import functools
import math
from typing import Any

from jsplit import checks
from jsplit.policies import plans
from jsplit.policies.base import Policy, Selector
from jsplit.policies.index import UCB, UCBParams
from jsplit.policies.scaled import on_unit_rewards
from jsplit.types import Context, Plan, Protocol, Reveal

ALPHA = 0.7  # SplitEE's released code: .70 (IMDb, Yelp), .75 (QQP, SNLI), .85 (SciTail)


def splitee(*, alpha: float = ALPHA, beta: float = 1.0) -> Policy:
    """SplitEE: UCB over splits, learning the reward of the split that was played.

    The reward of split i is

        r(i) = C_i - mu gamma_i          if C_i >= alpha or i = L,
        r(i) = C_L - mu (gamma_i + o)    otherwise,

    C_i the confidence of exit i, gamma_i the cost of i layers and one head, o the cost
    of shipping. The index of a split with n rewards is mean + beta sqrt(ln t / n).

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        beta: exploration, >= 0; published 1.

    Returns:
        The policy.

    Reference:
        Bajpai et al., SplitEE, arXiv 2309.09195.

    Differences from the released code: see `Protocol`.
    """
    return over_splits("splitee", *_ucb(beta), alpha=alpha)


def splitee_s(*, alpha: float = ALPHA, beta: float = 1.0) -> Policy:
    """SplitEE-S: as SplitEE, but evaluates every head and learns shallower splits too.

    gamma_i then counts i heads. After a step at split i it also learns from every split
    j <= i whose reward follows from what was computed.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        beta: exploration, >= 0; published 1.

    Returns:
        The policy.

    Reference:
        Bajpai et al., SplitEE, arXiv 2309.09195.

    Differences from the released code: that one also credits arms with a final
    confidence that was never computed (`Protocol.side_information`).
    """
    return over_splits(
        "splitee_s", *_ucb(beta), alpha=alpha, reveal="prefix", all_heads=True
    )


def ucb1(*, alpha: float = ALPHA) -> Policy:
    """UCB1 over splits: beta = sqrt(2), on rewards scaled to [0, 1].

    The bound on its regret holds for rewards in [0, 1]. So rewards are scaled to [0, 1]
    by the costs; SplitEE's are not.

    Args:
        alpha: confidence in [0, 1] from which the device answers.

    Returns:
        The policy.

    Reference:
        Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002.
    """
    inside = on_unit_rewards(*_ucb(math.sqrt(2)))
    return over_splits("ucb1", *inside, alpha=alpha)


def split_plans(num_exits: int, alpha: float, *, all_heads: bool = False) -> Plan:
    """Returns the L splits at one threshold, stacked: arm k splits after layer k+1."""
    return plans.stack(
        [
            plans.split(num_exits, depth, alpha, all_heads=all_heads)
            for depth in range(1, num_exits + 1)
        ]
    )


def over_splits(
    name: str,
    selector: Selector,
    params: Any,
    *,
    alpha: float,
    reveal: Reveal = "own",
    all_heads: bool = False,
    context: Context | None = None,
) -> Policy:
    """Returns the policy that picks one of the L splits with `selector`.

    Args:
        name: as registered.
        selector: picks one of the splits at each step.
        params: numbers of the selector; None for its defaults.
        alpha: confidence in [0, 1] from which the device answers.
        reveal: "own" learns from the played split, "prefix" from shallower ones too.
        all_heads: True = evaluate (and pay) every head on the way.
        context: what the selector observes before it picks.
    """
    alpha = checks.number("alpha", alpha, 0.0, 1.0)
    return Policy(
        name,
        functools.partial(_plans, alpha=alpha, all_heads=all_heads),
        selector,
        params=params,
        reveal=reveal,
        context=context,
        alpha=alpha,
    )


def _plans(num_exits: int, protocol: Protocol, alpha: float, all_heads: bool) -> Plan:
    del protocol
    return split_plans(num_exits, alpha, all_heads=all_heads)


def _ucb(beta: float) -> tuple[UCB, UCBParams]:
    return UCB(), UCBParams(checks.moderate("beta", beta))
