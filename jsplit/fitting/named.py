"""Rules by name and numbers, as the command line writes them.

Here: `fit_rule`. Not here: the rules (the files beside this one).
"""

import inspect

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.fitting.budget import budget_cascade
from jsplit.fitting.risk import risk_controlled_cascade, risk_controlled_split
from jsplit.fitting.splits import best_split
from jsplit.grammar import parse_call
from jsplit.policies.base import Policy
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

RULES = {
    "best_split": best_split,
    "budget_cascade": budget_cascade,
    "risk_controlled_cascade": risk_controlled_cascade,
    "risk_controlled_split": risk_controlled_split,
}
_GIVEN = ("held_out", "costs")  # by the caller
_LISTS = ("alphas",)  # too long to be written


def fit_rule(text: str, held_out: Trace, costs: Costs) -> Policy:
    """Returns the policy of the rule `text` names, fitted on a held-out part.

    Args:
        text: a rule's name, with numbers in brackets or without, such as
            "budget_cascade(budget=0.3)".
        held_out: N samples, L exits.
        costs: costs for the L exits.

    Returns:
        What the function called RULE returns.

    Raises:
        JsplitError: if the text is not of this form, names what does not exist, lacks a
            number that the rule needs, or gives one out of its range.

    Example:
        >>> trace = Trace.from_arrays([[0.95, 0.9], [0.4, 0.7]], correct=[[1, 1]] * 2)
        >>> policy = fit_rule("budget_cascade(budget=1.5)", trace, Costs([1.0, 2.0]))
        >>> policy.numbers["budget"]
        1.5
    """
    name, numbers = parse_call("rule", text)
    rule = RULES[checks.choice("rule", name, RULES)]
    parameters = inspect.signature(rule).parameters
    known = {
        key: one.default
        for key, one in parameters.items()
        if key not in (*_GIVEN, *_LISTS)
    }
    for key in numbers:
        checks.choice(f"what rule {name} takes", key, known)
    for key, default in known.items():
        if default is inspect.Parameter.empty and key not in numbers:
            raise JsplitError(f"rule {name} needs {key}, such as {name}({key}=0.3)")
    given = {"held_out": held_out, "costs": costs}
    return rule(**{k: v for k, v in given.items() if k in parameters}, **numbers)
