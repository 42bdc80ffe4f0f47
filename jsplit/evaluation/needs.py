"""What a policy needs of a trace: confidences, predictions, a lossless link.

Here: saying in one line why a policy cannot run on a trace. Not here: what it then
learns and observes (`feedback`).
"""

import numpy as np

from jsplit import checks
from jsplit.policies.base import Policy
from jsplit.policies.simple import Unlearning
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Plan


def check_needs(policy: Policy, plans: Plan, trace: Trace) -> None:
    """Raises unless a trace has what a policy decides by and learns from.

    Args:
        policy: the policy.
        plans: its K plans.
        trace: what the network says.

    Raises:
        JsplitError: if it lacks something, in one line that names the policy.
    """
    if trace.confidence is None and (why := _confidences_are_for(policy, plans)):
        raise JsplitError(
            f"policy {policy.label} needs a trace with confidences, {why}, and this "
            "one has none; if a file has them under another name, say which with "
            "columns"
        )
    for score, what, values in (
        ("entropy", "entropy", trace.entropy),
        ("patience", "predictions", trace.prediction),
    ):
        if policy.score == score and values is None:
            raise JsplitError(
                f"policy {policy.label} with score {score!r} needs a trace with "
                f"{what}, and this one has none; build it with Trace.from_logits"
            )
    if policy.learns not in ("disagreement", "agreement"):
        return
    if trace.prediction is None or not (
        checks.is_traced(trace.lossless) or trace.lossless
    ):
        lacks = "predictions" if trace.prediction is None else "a lossless link"
        raise JsplitError(
            f"policy {policy.label} learns from {policy.learns} and needs a trace with "
            f"{lacks}, and this one has none"
        )


def _confidences_are_for(policy: Policy, plans: Plan) -> str:
    """Returns what a policy needs confidences for, "" if it needs none."""
    if policy.score == "confidence" and _has_thresholds(plans):
        return "which its thresholds are compared with"
    if policy.context is not None and policy.context.kind == "confidence":
        return "which it observes before it chooses"
    learns = not isinstance(policy.selector, Unlearning)
    if learns and policy.learns in ("reward", "gain"):
        return "which it learns from"
    return ""


def _has_thresholds(plans: Plan) -> bool:
    """Tells whether a sample's score matters to a plan; a traced one may."""
    if checks.is_traced((plans.threshold, plans.depth)):
        return True
    exits = np.arange(np.shape(plans.threshold)[1] - 1)  # the last one always answers
    matters = np.isfinite(plans.threshold)[:, :-1]
    return bool((matters & (exits < np.asarray(plans.depth)[:, None])).any())
