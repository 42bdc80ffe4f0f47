"""Rules that are fitted anew in every environment of a sweep.

Here: which rules, the cut of every trace, and the policy at an environment. Not here:
the rules (`fitting`).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Condition, Scenario
from jsplit.policies.base import Policy
from jsplit.traces.joining import same_samples
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

Rule = Callable[[Trace, Costs], Policy]
HELD_OUT = 0.2


@dataclasses.dataclass(frozen=True)
class Fit:
    """A rule that becomes a policy where trace and costs are known.

    Attributes:
        label: what the sweep calls it, whatever was fitted.
        rule: from a held-out trace and costs to a policy.
    """

    label: str
    rule: Rule

    def at(self, held_out: Trace, costs: Costs) -> Policy:
        """Returns the policy fitted on a held-out trace."""
        try:
            found = self.rule(held_out, costs)
        except JsplitError as error:
            raise JsplitError(f"fit {self.label}: {error}") from None
        if not isinstance(found, Policy):
            raise JsplitError(
                f"fit {self.label} must return a jsplit.Policy, got "
                f"{checks.shown(found)}"
            )
        return found


def make_fits(fit: Sequence[str] | Mapping[str, str | Rule]) -> tuple[Fit, ...]:
    """Returns the rules to fit.

    Args:
        fit: texts such as "budget_cascade(budget=0.3)", or by label a text or a
            function of a held-out trace and costs.

    Raises:
        JsplitError: if one is neither, or a text names no rule.
    """
    if isinstance(fit, str):
        fit = [fit]
    given = (
        fit if isinstance(fit, Mapping) else {x: x for x in checks.entries("fit", fit)}
    )
    return tuple(Fit(str(label), _rule(one)) for label, one in given.items())


def cut(
    environment: Trace | Scenario, share: float, seed: int
) -> tuple[Trace, Trace | Scenario]:
    """Returns the part of the (first) trace to fit on, and what is judged.

    Args:
        environment: a trace, or a scenario whose traces have the same samples.
        share: of the samples to fit on, in (0, 1).
        seed: of the draw.
    """
    from jsplit.fitting import split_trace

    def parts(trace: Trace) -> tuple[Trace, Trace]:
        try:
            return split_trace(trace, share, seed=seed)
        except JsplitError as error:
            raise JsplitError(f"held_out: {error}") from None

    if isinstance(environment, Trace):
        return parts(environment)
    first = environment.first.trace
    conditions = {}
    for name, one in environment.conditions.items():
        if not all(same_samples(first, route.trace) for route in one.all_routes):
            raise JsplitError(
                "fit needs traces of the same samples in the same order, so that none "
                "is fitted and judged on; labels or names of samples of condition "
                f"{name!r} differ"
            )
        routes = tuple((parts(trace)[1], costs) for trace, costs in one.routes)
        conditions[name] = Condition(parts(one.trace)[1], one.costs, routes)
    return parts(first)[0], Scenario(conditions, environment.drift)


def _rule(given: Any) -> Rule:
    if not isinstance(given, str) and callable(given):
        return cast(Rule, given)
    from jsplit.fitting import RULES, fit_rule
    from jsplit.grammar import parse_call

    checks.choice("fit", parse_call("fit", given)[0], RULES)
    return lambda held_out, costs: fit_rule(given, held_out, costs)
