"""The plans of the field, as data: a threshold for each exit, and the deepest exit.

Here: builders that return one `Plan`, and `stack`. Not here: what a plan does to a
sample (`environment.outcomes`) or who picks it (the files beside this).
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.types import JsplitError, Plan

NEVER = np.inf  # no score reaches it: never stop here
ALWAYS = -np.inf  # every score reaches it: stop here


def split(num_exits: int, depth: int, alpha: float, *, all_heads: bool = False) -> Plan:
    """Returns SplitEE's action: run to `depth`, answer there if confident, else ship.

    Args:
        num_exits: number of exits L, >= 2.
        depth: the splitting layer, 1..L. At L the device always answers.
        alpha: confidence in [0, 1] from which the device answers at `depth`.
        all_heads: True = evaluate (and pay) every head up to `depth`, as SplitEE-S does
            for its side information. False = only the head at `depth`.

    Returns:
        One `Plan`.

    Reference:
        SplitEE, arXiv 2309.09195.
    """
    alpha = checks.number("alpha", alpha, 0.0, 1.0)
    return _split(num_exits, depth, alpha, all_heads=all_heads)


def exit_at(num_exits: int, depth: int, *, all_heads: bool = False) -> Plan:
    """Returns the plan that always answers with exit `depth` (1..L)."""
    return _split(num_exits, depth, ALWAYS, all_heads=all_heads)


def _split(num_exits: int, depth: int, threshold: float, *, all_heads: bool) -> Plan:
    num_exits = checks.integer("num_exits", num_exits, 2)
    depth = checks.integer("depth", depth, 1, num_exits)
    exits = np.arange(1, num_exits + 1)
    xp = _numpy(threshold)
    thresholds = xp.where(exits == depth, threshold, NEVER)
    heads = exits <= depth if all_heads else exits == depth
    return _plan(thresholds, depth, heads)


def offload_all(num_exits: int, depth: int = 1, *, head: bool = False) -> Plan:
    """Returns the plan that ships every sample after layer `depth`.

    Args:
        num_exits: number of exits L, >= 2.
        depth: 0..L-1; 0 ships the input itself, with nothing run on the device.
        head: True = evaluate (and pay) the head at `depth`, for a policy that observes
            its confidence before it chooses this plan.
    """
    num_exits = checks.integer("num_exits", num_exits, 2)
    depth = checks.integer("depth", depth, int(head), num_exits - 1)
    heads = (np.arange(1, num_exits + 1) == depth) & head
    return _plan(np.full(num_exits, NEVER), depth, heads)


def cascade(num_exits: int, threshold: ArrayLike, *, delay: int = 0) -> Plan:
    """Returns the cascade: the first exit whose score reaches `threshold` answers.

    Every head on the way is evaluated and paid; exit L always answers.

    Args:
        num_exits: number of exits L, >= 2.
        threshold: one number for all exits, or [L], in the unit of the policy's score:
            a confidence, minus an entropy in nats, or a count of agreeing exits. +inf =
            never stop here, -inf = always.
        delay: layers run beyond the exit that stopped, 0..L; 1 reproduces released code
            that runs and answers one exit too late.

    Returns:
        One `Plan`.
    """
    num_exits = checks.integer("num_exits", num_exits, 2)
    if np.ndim(threshold) == 0:
        threshold = checks.number("threshold", threshold)
        thresholds = _numpy(threshold).full(num_exits, threshold)
    elif checks.is_traced(threshold) and np.shape(threshold) == (num_exits,):
        thresholds = jnp.asarray(threshold)
    else:
        thresholds = np.array(threshold, np.float64)
        if thresholds.shape != (num_exits,) or np.isnan(thresholds).any():
            raise JsplitError(
                f"threshold must be a number or {num_exits} numbers, one per exit, got "
                f"{checks.shown(thresholds.tolist())}"
            )
    delay = checks.integer("delay", delay, 0, num_exits)
    return _plan(thresholds, num_exits, np.ones(num_exits, bool), delay)


def by_route(plan: Plan, route: int) -> Plan:
    """Returns the plan with another route, see `Condition.routes`.

    Args:
        plan: one plan.
        route: 0 for the condition's own trace and costs, 1, 2, ... for its `routes`.
    """
    return plan._replace(route=np.int32(checks.integer("route", route, 0)))


def stack(plans: Sequence[Plan]) -> Plan:
    """Returns several plans as one `Plan` whose fields have a leading axis K."""
    if not plans:
        raise JsplitError("plans must hold at least one plan, got none")
    lengths = [np.size(plan.threshold) for plan in plans]
    if len(set(lengths)) > 1:
        raise JsplitError(f"plans must be for the same number of exits, got {lengths}")
    fields = zip(*plans, strict=True)
    return Plan(*(_numpy(field).stack(field) for field in fields))


def _numpy(value: Any) -> Any:
    """Returns NumPy, or JAX's if `value` or an entry of it is traced."""
    return jnp if checks.is_traced(value) else np


def _plan(threshold: Any, depth: int, heads: np.ndarray, delay: int = 0) -> Plan:
    return Plan(threshold, np.int32(depth), heads, np.int32(delay), np.int32(0))
