"""The plans of the field, as data: thresholds per exit and the deepest exit.

Here: builders that return one `Plan`, and `stack`. Not here: what a plan does to a
sample (`outcomes`) or who picks it (`policies`).
"""

from collections.abc import Sequence

import numpy as np

from jsplit import checks
from jsplit.types import JsplitError, Plan

NEVER = np.inf  # no score reaches it: pass this exit by
ALWAYS = -np.inf  # every score reaches it: stop here


def split(num_exits: int, depth: int, alpha: float, *, all_heads: bool = False) -> Plan:
    """Returns SplitEE's action: run to `depth`, answer there if sure, else ship.

    Args:
        num_exits: number of exits L.
        depth: the splitting layer, 1..L. At L the device always answers itself.
        alpha: confidence in [0, 1] from which the device answers at `depth`.
        all_heads: evaluate (and pay) every head up to `depth`, as SplitEE-S does for
            its side information, instead of the one at `depth`.

    Returns:
        One `Plan`.

    Reference:
        SplitEE, arXiv 2309.09195.
    """
    depth = checks.integer("depth", depth, 1, num_exits)
    threshold = np.full(num_exits, NEVER)
    threshold[depth - 1] = alpha
    exits = np.arange(1, num_exits + 1)
    heads = exits <= depth if all_heads else exits == depth
    return _plan(threshold, depth, heads)


def exit_at(num_exits: int, depth: int, *, all_heads: bool = False) -> Plan:
    """Returns the plan that always answers with exit `depth` (1..L)."""
    return split(num_exits, depth, ALWAYS, all_heads=all_heads)


def offload_all(num_exits: int, depth: int = 1) -> Plan:
    """Returns the plan that ships every sample after layer `depth` (1..L-1).

    No head is evaluated on the device: nothing depends on its confidence.
    """
    depth = checks.integer("depth", depth, 1, num_exits - 1)
    return _plan(np.full(num_exits, NEVER), depth, np.zeros(num_exits, bool))


def cascade(num_exits: int, threshold: float, *, delay: int = 0) -> Plan:
    """Returns the cascade: the first exit whose score reaches `threshold` answers.

    Every head on the way is evaluated and paid; exit L always answers.

    Args:
        num_exits: number of exits L.
        threshold: on the policy's score: a confidence, minus an entropy in nats, or a
            count of agreeing exits.
        delay: 1 reproduces released code that runs and answers one exit too late.

    Returns:
        One `Plan`.
    """
    return _plan(
        np.full(num_exits, threshold), num_exits, np.ones(num_exits, bool), delay
    )


def stack(plans: Sequence[Plan]) -> Plan:
    """Returns several plans as one `Plan` whose fields have a leading axis K."""
    if not plans:
        raise JsplitError("plans must hold at least one plan, got none")
    return Plan(*(np.stack(field) for field in zip(*plans, strict=True)))


def _plan(threshold: np.ndarray, depth: int, heads: np.ndarray, delay: int = 0) -> Plan:
    return Plan(threshold, np.int32(depth), heads, np.int32(delay))
