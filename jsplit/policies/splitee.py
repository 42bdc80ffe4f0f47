"""SplitEE, SplitEE-S and UCB1 over splits: where to split, learned without labels.

One arm per exit: run to it, answer there if confident, otherwise ship.
"""

import math

from jsplit import checks, plans
from jsplit.policies.base import Policy
from jsplit.policies.index import UCB, UCBParams
from jsplit.types import Plan, Protocol, Reveal

ALPHA = 0.7  # SplitEE's released code: .70 (IMDb, Yelp), .75 (QQP, SNLI), .85 (SciTail)


def splitee(*, alpha: float = ALPHA, beta: float = 1.0) -> Policy:
    """SplitEE: UCB over splits, learning the reward of the split that was played.

    r(i) = C_i - mu gamma_i if C_i >= alpha or i = L, else C_L - mu (gamma_i + o), with
    gamma_i the cost of i layers and one head; index mean + beta sqrt(ln t / n).

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        beta: exploration, >= 0; published 1.

    Returns:
        The policy.

    Reference:
        Bajpai et al., SplitEE, arXiv 2309.09195.

    Differences from the released code: see `Protocol`.
    """
    return _ucb_over_splits("splitee", alpha, beta, reveal="own", all_heads=False)


def splitee_s(*, alpha: float = ALPHA, beta: float = 1.0) -> Policy:
    """SplitEE-S: as SplitEE, but evaluates every head and learns shallower splits too.

    gamma_i then counts i heads. After a step at split i, the reward of every split
    j <= i that what was computed determines is folded in.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        beta: exploration, >= 0; published 1.

    Returns:
        The policy.

    Reference:
        Bajpai et al., SplitEE, arXiv 2309.09195.

    Differences from the released code: it also credits arms with a final confidence
    that was never computed (`Protocol.side_information`).
    """
    return _ucb_over_splits("splitee_s", alpha, beta, reveal="prefix", all_heads=True)


def ucb1(*, alpha: float = ALPHA) -> Policy:
    """UCB1 over splits: SplitEE with the textbook beta = sqrt(2).

    Args:
        alpha: confidence in [0, 1] from which the device answers.

    Returns:
        The policy.

    Reference:
        Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002.
    """
    beta = math.sqrt(2)
    return _ucb_over_splits("ucb1", alpha, beta, reveal="own", all_heads=False)


def split_plans(num_exits: int, alpha: float, *, all_heads: bool = False) -> Plan:
    """Returns the L splits at one threshold, stacked: arm k splits after layer k+1."""
    return plans.stack(
        [
            plans.split(num_exits, depth, alpha, all_heads=all_heads)
            for depth in range(1, num_exits + 1)
        ]
    )


def _ucb_over_splits(
    name: str, alpha: float, beta: float, *, reveal: Reveal, all_heads: bool
) -> Policy:
    alpha = checks.number("alpha", alpha, 0.0, 1.0)
    beta = checks.number("beta", beta, 0.0)

    def build(num_exits: int, protocol: Protocol) -> Plan:
        del protocol
        return split_plans(num_exits, alpha, all_heads=all_heads)

    return Policy(
        name, build, UCB(), params=UCBParams(beta), reveal=reveal, alpha=alpha
    )
