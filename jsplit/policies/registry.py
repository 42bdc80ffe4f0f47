"""Every policy by name: one explicit table, which is also the list users see.

To add a policy: write its factory in a file beside this one, import the file and add
one line here. In a package of your own, see `plugins`.
"""

import inspect
from collections.abc import Callable

from jsplit import checks
from jsplit.grammar import parse_call
from jsplit.policies import (
    adversarial,
    bayes,
    change,
    contextual,
    disagreement,
    fixed,
    forgetting,
    greedy,
    hedge,
    hierarchical,
    kl,
    moss,
    plugins,
    splitee,
    thresholds,
    variance,
)
from jsplit.policies.base import Policy
from jsplit.types import JsplitError

REGISTRY: dict[str, Callable[..., Policy]] = {
    "splitee": splitee.splitee,
    "splitee_s": splitee.splitee_s,
    "ucb1": splitee.ucb1,
    "ucb_v": variance.ucb_v,
    "ucb_tuned": variance.ucb_tuned,
    "kl_ucb": kl.kl_ucb,
    "bayes_ucb": bayes.bayes_ucb,
    "moss": moss.moss,
    "discounted_ucb": forgetting.discounted_ucb,
    "sliding_window_ucb": forgetting.sliding_window_ucb,
    "glr_ucb": change.glr_ucb,
    "thompson_gaussian": bayes.thompson_gaussian,
    "thompson_beta": bayes.thompson_beta,
    "exp3": adversarial.exp3,
    "exp3_s": adversarial.exp3_s,
    "contextual_ucb": contextual.contextual_ucb,
    "linucb": contextual.linucb,
    "route_ucb": contextual.route_ucb,
    "isplitee": contextual.isplitee,
    "adaee": thresholds.adaee,
    "joint_ucb": thresholds.joint_ucb,
    "uee_ucb": disagreement.uee_ucb,
    "hi_lcb": hierarchical.hi_lcb,
    "hi_lcb_lite": hierarchical.hi_lcb_lite,
    "hil_f": hedge.hil_f,
    "hil_n": hedge.hil_n,
    "epsilon_greedy": greedy.epsilon_greedy,
    "explore_then_commit": greedy.explore_then_commit,
    "final_exit": fixed.final_exit,
    "fixed_split": fixed.fixed_split,
    "offload_all": fixed.offload_all,
    "dynamic_split": fixed.dynamic_split,
    "random_exit": fixed.random_exit,
    "confidence_cascade": fixed.confidence_cascade,
    "entropy_cascade": fixed.entropy_cascade,
    "patience_cascade": fixed.patience_cascade,
    "oracle": fixed.oracle,
}

# A first comparison shows SplitEE's policies and every baseline. Other bandits are
# opt-in: each costs seconds of compilation.
BASIC_POLICIES = (
    "splitee",
    "splitee_s",
    "ucb1",
    "final_exit",
    "fixed_split",
    "offload_all",
    "random_exit",
    "confidence_cascade",
    "entropy_cascade",
    "patience_cascade",
    "oracle",
)


def policy_family(name: str) -> str:
    """Returns what kind a policy is of, or its own name where that is not listed.

    Example:
        >>> policy_family("ucb_tuned")
        'variance'
    """
    factory = REGISTRY.get(name)
    return name if factory is None else factory.__module__.rpartition(".")[2]


def policy_names() -> list[str]:
    """Returns the names that `make_policy` and `evaluate` accept.

    Those of jsplit, then those of other installed packages.
    """
    return [*REGISTRY, *(x for x in plugins.entry_points() if x not in REGISTRY)]


def policy_numbers(name: str) -> dict[str, float]:
    """Returns the numbers of the policy called `name` with their defaults."""
    return dict(plugins.numbers_of(_factory(name)))


def policy_summary(name: str) -> str:
    """Returns one line on the policy called `name`: its docstring's first."""
    return (inspect.getdoc(_factory(name)) or "").partition("\n")[0]


def policy_package(name: str) -> str:
    """Returns the package that the policy called `name` comes from."""
    if name in REGISTRY:
        return "jsplit"
    entries = plugins.entry_points()
    return plugins.package_of(entries[checks.choice("policy", name, entries)][0])


def hidden_policies() -> dict[str, str]:
    """Returns packages by the built-in names that they offer too, and in vain."""
    entries = plugins.entry_points()
    return {x: plugins.package_of(entries[x][0]) for x in entries if x in REGISTRY}


def _factory(name: str) -> Callable[..., Policy]:
    """Returns the factory of a policy; nobody else can have a built-in name."""
    if isinstance(name, str) and name in REGISTRY:
        return REGISTRY[name]
    entries = plugins.entry_points()
    known = [*REGISTRY, *(one for one in entries if one not in REGISTRY)]
    return plugins.load(name, entries[checks.choice("policy", name, known)])


def make_policy(name: str, **numbers: float) -> Policy:
    """Returns the policy called `name` with some of its numbers set.

    Args:
        name: one of `policy_names()`.
        **numbers: numbers to set, such as `alpha=0.8`; the rest keep their defaults.

    Returns:
        The policy; its label shows the numbers that were set.

    Raises:
        JsplitError: if a name is unknown, with those that exist and the nearest match;
            or if a number is out of its range.

    Example:
        >>> make_policy("splitee", alpha=0.8).label
        'splitee(alpha=0.8)'
    """
    factory = _factory(name)
    known = plugins.numbers_of(factory)
    for number in numbers:
        if not known:
            raise JsplitError(f"policy {name} takes no numbers, got {number}")
        checks.choice(f"a number of policy {name}", number, known)
    policy = factory(**numbers)
    return policy.with_numbers({**policy.numbers, **numbers})


def parse_policy(text: str) -> Policy:
    """Returns the policy that a label such as `fixed_split(depth=3)` describes.

    Args:
        text: a name, with numbers in brackets or without, as labels show them.

    Raises:
        JsplitError: if the text is not of this form, or as `make_policy` does.
    """
    name, numbers = parse_call("policy", text)
    return make_policy(name, **numbers)
