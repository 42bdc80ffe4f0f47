"""Policies bound to scenarios: checked, tabulated, and packed for the engine.

Here: settings of equal structure, one or many, in one call, and the exact means that
need float64 on the host. Not here: the outcomes themselves
(`tabulating`), what is run on them (`evaluate`, `engine`) or exact values (`exact`).
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jsplit import checks
from jsplit.engine.settings import MAX_INDEX, Run
from jsplit.engine.sums import Replicas
from jsplit.engine.tables import Tables
from jsplit.environment.scenario import Route, Scenario
from jsplit.evaluation import feedback, tabulating
from jsplit.evaluation.needs import check_needs
from jsplit.evaluation.tabulating import Kind, Setting, Tabulated
from jsplit.policies.base import Policy, Selector
from jsplit.policies.simple import Always, Follow
from jsplit.types import JsplitError, Plan, Protocol


class Prepared(NamedTuple):
    """A policy and a scenario that fit each other, not tabulated yet."""

    policy: Policy
    scenario: Scenario
    kind: Kind
    setting: Setting

    @property
    def structure(self) -> Any:
        """What settings of equal structure have in common, hashable."""
        leaves, treedef = jax.tree.flatten(self.setting)
        shapes = tuple((np.shape(x), np.result_type(x)) for x in leaves)
        return self.kind, treedef, shapes


@dataclasses.dataclass(frozen=True)
class Bound:
    """S settings of equal structure, bound together: all that the engine needs."""

    policies: tuple[Policy, ...]
    plans: tuple[Plan, ...]
    selector: Selector
    params: Any  # numbers of the selector, leaves [S, ...]
    tables: Tables  # leaves [S, ...]
    gap: np.ndarray  # [S, M, K] float64, as in `tables`
    # Of rules that do not learn, under one condition.
    constants: "tuple[Constant | None, ...]"


class Constant(NamedTuple):
    """What N samples come to under a rule that does the same whatever came before."""

    reward: float  # mean
    cost: float  # mean
    regret: float  # realised, mean
    gap: np.ndarray  # [K] of every plan's mean reward to the best fixed plan's
    correct: int
    offloaded: int
    plays: np.ndarray  # [K] int32

    def exact(self, replicas: Replicas, horizon: int) -> Replicas:
        """Returns sums from the table: the order of a sum leaves no trace.

        A rule that does not learn and sees every sample equally often has one value,
        not a distribution; adding its rewards in another order would feign a variance
        of rounding errors.
        """
        ones = np.ones_like(replicas.reward)
        pseudo = replicas.pseudo_regret.copy()
        realised = replicas.realised_regret.copy()
        pseudo[:, -1] = replicas.pulls @ self.gap
        realised[:, -1] = horizon * self.regret
        return replicas._replace(
            reward=horizon * self.reward * ones,
            cost=horizon * self.cost * ones,
            pseudo_regret=pseudo,
            realised_regret=realised,
        )

    def at_the_end(self, passes: int, run: Run) -> Replicas:
        """Returns the sums after whole passes over the data, without a replay.

        Args:
            passes: how many.
            run: of R replicas; curves have their last point alone.
        """
        ones = np.ones(run.num_replicas)
        pulls = passes * np.tile(self.plays, (run.num_replicas, 1))
        end, nothing = np.zeros((run.num_replicas, 1)), (None,) * 4
        sums = Replicas(
            ones,
            ones,
            passes * self.correct * ones,
            passes * self.offloaded * ones,
            pulls.astype(np.int32),
            end,
            end,
            end.astype(np.int32),
            *nothing,
        )
        return self.exact(sums, run.horizon)


class Played(NamedTuple):
    """What a rule that never learns does on N samples."""

    reward: Any  # [N], and so are all
    cost: Any
    correct: Any
    exit: Any
    plan: Any


def prepare(policy: Policy, scenario: Scenario, protocol: Protocol) -> Prepared:
    """Returns a policy and a scenario, checked.

    Raises:
        JsplitError: if the policy does not fit the scenario.
    """
    conditions = [one.all_routes for one in scenario.conditions.values()]
    return Prepared(policy, scenario, *setting_of(policy, conditions, protocol))


def alike(prepared: Sequence[Prepared]) -> list[list[int]]:
    """Returns the numbers of settings of equal structure, group by group.

    Settings of a group differ in numbers alone: of the costs, of the policy, of the
    traces. They run in one program, see `bind`.
    """
    groups: dict[Any, list[int]] = {}
    for number, one in enumerate(prepared):
        groups.setdefault(one.structure, []).append(number)
    return list(groups.values())


def bind(prepared: Sequence[Prepared]) -> Bound:
    """Returns S settings of equal structure, tabulated and packed for the engine.

    Every setting has the numbers that it has alone.

    Args:
        prepared: a group of `alike`, at least one. S times the memory of one setting is
            needed; a trace they share is there once.

    Raises:
        JsplitError: if structures differ.
    """
    if len({one.structure for one in prepared}) != 1:
        raise JsplitError("settings must have equal structure, see alike")
    kind = prepared[0].kind
    settings = [one.setting for one in prepared]
    tabulated, played = _tabulated(kind, *_stacked(settings))
    host = tabulated._replace(
        params=None,
        outcome=jax.tree.map(np.asarray, tabulated.outcome),
        plan_costs=np.asarray(tabulated.plan_costs),
        rivals=np.asarray(tabulated.rivals),
        learned=None,
        revealed=None,
        context=None,
    )
    played = jax.tree.map(np.asarray, played)
    each = [_at(host, s) for s in range(len(settings))]
    compared = [_compared(one) for one in each]
    best, gap = (np.stack(values) for values in zip(*compared, strict=True))
    return Bound(
        tuple(one.policy for one in prepared),
        tuple(setting.plans for setting in settings),
        kind.selector,
        tabulated.params,
        _packed(tabulated, best.astype(np.int32), gap),
        gap,
        tuple(
            _constant(one, _at(played, s), best[s], gap[s])
            for s, one in enumerate(each)
        ),
    )


def plans_of(policy: Policy, num_exits: int, protocol: Protocol) -> Plan:
    """Returns the K plans of a policy."""
    try:
        return policy.plans(num_exits, protocol)
    except JsplitError as error:
        raise JsplitError(f"policy {policy.label}: {error}") from None


def check_routes(policy: Policy, plans: Plan, num_routes: int) -> None:
    """Raises unless every plan's route is there."""
    if checks.is_traced(plans.route):
        return
    wanted = int(np.max(plans.route)) + 1
    if wanted > num_routes:
        raise JsplitError(
            f"policy {policy.label} needs {wanted} routes, got {num_routes}; see "
            "jsplit.Condition"
        )


def setting_of(
    policy: Policy, conditions: Sequence[Sequence[Route]], protocol: Protocol
) -> tuple[Kind, Setting]:
    """Returns a policy under M conditions, checked, as `tabulating` wants it.

    Args:
        policy: the policy.
        conditions: by condition, every route.
        protocol: the switches.
    """
    trace = conditions[0][0].trace
    plans = plans_of(policy, trace.num_exits, protocol)
    num_plans = np.size(plans.depth)
    if len(conditions) * trace.num_samples * num_plans > MAX_INDEX:
        raise JsplitError(
            f"conditions x samples x plans must be at most {MAX_INDEX}, got "
            f"{len(conditions)} x {trace.num_samples} x {num_plans} for "
            f"policy {policy.label}"
        )
    check_routes(policy, plans, len(conditions[0]))
    for routes in conditions:
        for route in routes:
            check_needs(policy, plans, route.trace)
    feedback.check_context(policy.context, plans)
    kind = tabulating.kind_of(policy, num_plans, len(conditions), protocol)
    params = tabulating.params_of(policy, kind)
    routes = tuple(tuple(one) for one in conditions)
    return kind, Setting(plans, params, policy.alpha, routes)


def _stacked(settings: Sequence[Setting]) -> tuple[Setting, Setting]:
    """Returns settings as one, and which of its leaves have a leading axis."""
    first = settings[0]

    def together(values: Sequence[Any]) -> tuple[Any, int | None]:
        """Returns one of values that are one object, or all of them."""
        if all(one is values[0] for one in values):
            return values[0], None
        return jax.tree.map(lambda *leaves: np.stack(leaves), *values), 0

    def stack(values: Sequence[Any]) -> Any:
        return jax.tree.map(lambda *leaves: np.stack(leaves), *values)

    conditions, axes = [], []
    for m, routes in enumerate(first.conditions):
        found = []
        for r in range(len(routes)):
            here = [setting.conditions[m][r] for setting in settings]
            trace, axis = together([route.trace for route in here])
            costs, axes_of = stack([x.costs for x in here]), (axis, 0)
            found.append((Route(trace, costs), Route._make(axes_of)))
        conditions.append(tuple(route for route, _ in found))
        axes.append(tuple(axis for _, axis in found))
    plans, params, alpha = (
        stack([getattr(setting, name) for setting in settings])
        for name in ("plans", "params", "alpha")
    )
    return (
        Setting(plans, params, alpha, tuple(conditions)),
        Setting(0, 0, 0, tuple(axes)),  # type: ignore[arg-type]
    )


def _tabulated(
    kind: Kind, setting: Setting, axes: Setting
) -> tuple[Tabulated, Played | None]:
    """Returns outcomes, and what a rule does that never learns."""
    precise = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    with jax.enable_x64(True):  # so that float64 arrives as it is
        return _tabulate(kind, axes, precise, setting)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _tabulate(
    kind: Kind, axes: Setting, precise: bool, setting: Setting
) -> tuple[Tabulated, Played | None]:
    def one(setting: Setting) -> tuple[Tabulated, Played | None]:
        tabulated = tabulating.tabulate(kind, setting)
        return tabulated, _played(kind, tabulated)

    with jax.enable_x64(precise):
        return jax.vmap(one, (axes,))(setting)


def _played(kind: Kind, tabulated: Tabulated) -> Played | None:
    never_learns = isinstance(kind.selector, Always | Follow)
    if len(tabulated.plan_costs) > 1 or not never_learns:
        return None
    outcome = tabulated.outcome
    plan = tabulated.context
    if plan is None:
        plan = jnp.zeros(len(outcome.reward), jnp.int32)
    fields = (outcome.reward, outcome.cost, outcome.correct, outcome.exit)
    chosen = (jnp.take_along_axis(x, plan[:, None], 1)[:, 0] for x in fields)
    return Played._make([*chosen, plan])


_packed = jax.jit(jax.vmap(tabulating.compare))


def _compared(tabulated: Tabulated) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best rival of each condition, [M], and the gaps, [M, K] float64."""
    means = _means(tabulated.rivals)
    own, (num_conditions, *_) = means, means.shape
    if tabulated.outcome.reward.shape[1] == 1:
        own = _means(np.reshape(tabulated.outcome.reward, (num_conditions, 1, -1)))
    return means.argmax(1), means.max(1, keepdims=True) - own


def _constant(
    tabulated: Tabulated, played: Played | None, best: np.ndarray, gap: np.ndarray
) -> Constant | None:
    """Returns what a rule is worth that never learns."""
    if played is None:
        return None
    played = Played._make(np.asarray(field) for field in played)
    reward, cost = (float(_means(one[None])[0]) for one in played[:2])
    comparator = float(_means(tabulated.rivals[0, int(best[0])][None])[0])
    num_exits = tabulated.plan_costs.shape[-1] - 1
    return Constant(
        reward,
        cost,
        comparator - reward,
        gap[0],
        int(played.correct.sum()),
        int((played.exit == num_exits).sum()),
        np.bincount(played.plan, minlength=gap.shape[1]),
    )


def _means(values: Any) -> np.ndarray:
    """Returns the float64 means over the last axis, each summed as if it were alone.

    NumPy adds up one column in another order than several side by side, and a plan
    that is the best one must have its mean to the last bit.
    """
    return np.ascontiguousarray(values, np.float64).mean(-1)


def _at(tree: Any, number: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[number], tree)
