"""Learning from predictions alone: UEE-UCB.

Suppose a deeper exit is right whenever a shallower one is. Then disagreement with exit
1 measures the errors that the deeper exit saves, and needs no label.
"""

import math

from jsplit import checks
from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.policies.index import UCB, UCBParams
from jsplit.types import Plan, Protocol


def uee_ucb(*, beta: float = math.sqrt(2)) -> Policy:
    """UEE-UCB: UCB over exits, learning how often each disagrees with exit 1.

    Arm i runs to exit i, evaluates every head on the way and answers there. The reward
    of each arm j <= i becomes known: 1[prediction_j != prediction_1] - mu cost_j.
    Nothing is shipped.

    Args:
        beta: exploration, >= 0.

    Reference:
        Narayan, Hanawal and Bhardwaj, Unsupervised early exit in DNNs with multiple
        exits, arXiv 2209.09480.
    """
    params = UCBParams(checks.moderate("beta", beta))
    return Policy(
        "uee_ucb", _exits, UCB(), params=params, reveal="prefix", learns="disagreement"
    )


def _exits(num_exits: int, protocol: Protocol) -> Plan:
    del protocol
    return plans.stack(
        [
            plans.exit_at(num_exits, depth, all_heads=True)
            for depth in range(1, num_exits + 1)
        ]
    )
