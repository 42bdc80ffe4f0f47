"""What every fitted rule shares: its policy, and thresholds that read well."""

import functools
from typing import Any

from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.policies.simple import Always
from jsplit.policies.splitee import ALPHA
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Plan, Protocol


def policy_of(
    name: str,
    plan: Plan,
    numbers: dict[str, Any],
    held_out: Trace,
    alpha: float | None = None,
) -> Policy:
    """Returns the policy with one fitted plan.

    Args:
        name: of the function that fitted it.
        plan: the plan.
        numbers: what was asked for and what was found, shown in the label.
        held_out: what it was fitted on, named in the label by its sha256.
        alpha: threshold of the fixed splits that its regret is taken against; None for
            that of other policies.
    """
    return Policy(
        name,
        functools.partial(_fitted, plan=plan, wanted=held_out.num_exits),
        Always(),
        {**numbers, "fitted_on": held_out.sha256[:8]},
        alpha=ALPHA if alpha is None else alpha,
    )


def _fitted(num_exits: int, protocol: Protocol, plan: Plan, wanted: int) -> Plan:
    del protocol
    if num_exits != wanted:
        raise JsplitError(
            f"trace must have the {wanted} exits it was fitted on, got {num_exits}"
        )
    return plans.stack([plan])


def readable(threshold: Any) -> float:
    """Returns the float with fewest digits that rounds to a confidence of a trace.

    Plans are compared in the precision of the trace, so a label may show 0.7 instead of
    0.699999988079071 and name the same rule.

    Args:
        threshold: a NumPy scalar in the dtype of the trace.
    """
    return float(str(threshold))
