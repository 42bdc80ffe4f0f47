"""One call from a trace, policies and costs to results with provenance.

Here: `evaluate`, which checks arguments, and `replay_all`, which runs the engine on the
tables of each policy (`binding`) and hands the sums to `results`.
"""

import functools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from jsplit import checks
from jsplit.engine import shard, streams
from jsplit.engine.midway import Midway
from jsplit.engine.schedule import make_schedule
from jsplit.engine.settings import (
    MAX_STEPS,
    NUM_CHECKPOINTS,
    Keep,
    Run,
    evenly_spaced,
    log_spaced,
    with_end,
)
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import Bound, bind, prepare
from jsplit.evaluation.kept import Kept, keeping
from jsplit.evaluation.room import check_room
from jsplit.policies.base import Policy
from jsplit.policies.registry import parse_policy
from jsplit.progress import counted
from jsplit.results import bills as billing
from jsplit.results.building import Ran, build
from jsplit.results.metrics import METRICS
from jsplit.results.ranges import possible_values
from jsplit.results.result import Result
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Protocol


def evaluate(
    trace: Trace | Scenario,
    policies: Sequence[str | Policy],
    costs: Costs | None = None,
    *,
    num_replicas: int = 1024,
    first_replica: int = 0,
    stream: streams.Kind = "shuffle",
    horizon: int | None = None,
    protocol: str | Protocol = "paper",
    seed: int = 0,
    keep_curves: bool = False,
    record_arms: bool = False,
    num_checkpoints: int = NUM_CHECKPOINTS,
    checkpoints: Sequence[int] | None = None,
    bills: Mapping[str, billing.BillCosts] | None = None,
    deadlines: Mapping[str, float] | None = None,
    out: str | os.PathLike[str] | None = None,
    block_size: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = False,
) -> Result:
    """Replays every policy over the same random streams and returns what happened.

    Replica r of every policy sees the same samples in the same order, whichever
    policies, blocks and devices there are, so differences are paired.

    Args:
        trace: what the network says at every exit, N samples, L exits; or a `Scenario`
            of conditions that change.
        policies: names, labels such as "fixed_split(depth=3)", or policies from
            `make_policy`, all different.
        costs: costs for the L exits; none with a scenario, which has its own.
        num_replicas: R >= 1 replicas.
        first_replica: number of the first one, >= 0; for bootstrap streams a multiple
            of 4, which is how many orders of one resampled test set follow each other.
            Replica r is the same whichever others run with it, so more can be run later
            and joined (`Result.join`).
        stream: "shuffle" (other orders of the same test set), "bootstrap" (other test
            sets, resampled), "fixed" (the order of the data).
        horizon: T >= 1 steps, N by default. Longer runs pass over the data again, in a
            new order.
        protocol: "paper", "released" or a `Protocol` with switches of your own.
        seed: >= 0; the same seed gives the same numbers.
        keep_curves: also return regret and best plays of every replica at every
            checkpoint, not only their moments: `recovery` needs them.
        record_arms: also return `order` [replica, step], the sample of every step, and
            `arm` [policy, replica, step], the plan that was played, counted from 0.
        num_checkpoints: at most so many steps at which regret is kept, log-spaced for
            a trace, evenly for a scenario.
        checkpoints: these steps, in 1..T, instead; T is added.
        bills: other costs of the same decisions, by name, such as energy beside
            latency; one `Costs`, or one per condition, or a list by route per
            condition. Given, even if empty, the result also has the median and the 95th
            and 99th percentile over the steps: the smallest cost that at least such a
            share of the steps do not exceed.
        deadlines: by name of a bill ("cost" for the costs themselves), the cost >= 0
            above which a step is late.
        out: folder for finished parts and, in the end, result.nc.gz. The same call goes
            on where it stopped or was killed, with the same numbers; a finished one is
            not repeated, and another one is refused with what differs.
        block_size: replicas a device steps through together; changes speed only.
        devices: JAX devices to use, all by default; changes speed only.
        progress: show a progress bar.

    Returns:
        What happened to every policy and replica, with provenance; see
        `jsplit.Result`. Regret is against the best fixed plan in hindsight, from the
        table: among the policy's own plans or, for a policy with a single plan, among
        SplitEE's splits at its alpha (0.7 if it has none). In a scenario it is dynamic
        regret, against the best plan of each step's condition.

    Raises:
        JsplitError: if an argument is out of its range, if there is not enough memory,
            or if `out` holds another evaluation or is being written.

    Example:
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = Trace.from_arrays(confidence, correct=correct)
        >>> result = evaluate(trace, ["splitee", "final_exit"], Costs.splitee(2))
        >>> accuracy = result["accuracy"].mean("replica")
        >>> round(accuracy.sel(policy="final_exit").item(), 6)
        0.666667
    """
    scenario = Scenario.of(trace, costs)
    charges = billing.checked(bills, deadlines, scenario, METRICS)
    run = make_run(
        scenario,
        horizon=horizon,
        num_checkpoints=num_checkpoints,
        checkpoints=checkpoints,
        protocol=protocol,
        num_replicas=num_replicas,
        first_replica=first_replica,
        stream=stream,
        seed=seed,
        keep=Keep(steps=record_arms, visits=charges is not None, curves=keep_curves),
        devices=devices,
        block_size=block_size,
    )
    chosen = chosen_policies(policies)
    prepared = [prepare(policy, scenario, run.protocol) for policy in chosen]
    check_room(prepared, run)
    bound = (bind([one]) for one in prepared)
    told = None if charges is None else json.dumps(billing.attributes(charges))
    with keeping(out, scenario, chosen, run, told) as kept:
        result = kept.result(chosen, run)
        if result is not None:
            return result
        total = len(prepared) * run.num_replicas
        with counted("replaying", total, show=progress, unit="replicas") as count:
            result = replay_all(bound, scenario, run, charges, count.advance, kept)
        kept.finish(result)
        return result


def make_run(
    scenario: Scenario,
    *,
    horizon: int | None,
    num_checkpoints: int,
    checkpoints: Sequence[int] | None,
    protocol: str | Protocol,
    **fields: Any,
) -> Run:
    """Returns how a scenario is replayed, from the arguments of `evaluate`.

    Args:
        scenario: what is replayed.
        horizon: T; None for N.
        num_checkpoints: at most so many, >= 1, unless they are given.
        checkpoints: steps in 1..T, or None.
        protocol: "paper", "released" or a `Protocol`.
        **fields: the other fields of `Run`.
    """
    horizon = scenario.num_samples if horizon is None else horizon
    log = scenario.drift is None
    return Run(
        horizon=horizon,
        checkpoints=_steps(horizon, num_checkpoints, checkpoints, log=log),
        protocol=Protocol.named(protocol),
        **fields,
    )


def replay_all(
    bound: Iterable[Bound],
    scenario: Scenario,
    run: Run,
    charges: billing.Charges | None,
    advance: Callable[[int], None] = lambda replicas: None,
    kept: Kept | None = None,
) -> Result:
    """Runs bound policies over the same streams and returns what happened.

    Args:
        bound: policies with the tables of their outcomes, one setting each.
        scenario: what they are bound to.
        run: how they are replayed.
        charges: costs and deadlines of every bill; None if none were asked for.
        advance: called with the number of replicas finished.
        kept: where finished parts are; None to keep none.
    """
    kept = kept or Kept()
    chain = scenario.chain(run.horizon)
    schedule = make_schedule(run, scenario.num_samples, *(chain or (None, None)))
    passes = whole_passes(scenario, run)
    ran = []
    for number, one in enumerate(bound):
        (policy,), (plans,) = one.policies, one.plans
        (gap,), (constant,) = one.gap, one.constants
        replay = functools.partial(_replay, one, schedule, advance)
        replicas = kept.replicas(number, run, replay, advance)
        if not passes:
            constant = None
        if constant is not None:
            replicas = constant.exact(replicas, run.horizon)
        paid = {}
        if charges is not None and replicas.visits is not None:
            paid = billing.charge(replicas.visits, plans, charges)
        possible = possible_values(plans, scenario, run.protocol, charges)
        never_varies = constant is not None
        ran.append(Ran(policy, replicas, gap, paid, never_varies, possible))
    return Result(build(ran, scenario, run, charges=charges, chain=chain))


def whole_passes(scenario: Scenario, run: Run) -> int:
    """Returns how often all samples are seen; 0 where some are seen more often."""
    passes, rest = divmod(run.horizon, scenario.num_samples)
    return 0 if rest or run.stream == "bootstrap" else passes


def _replay(
    bound: Bound,
    schedule: Any,
    advance: Callable[[int], None],
    run: Run,
    midway: Midway | None,
) -> shard.Replicas:
    found = shard.run_replicas(
        bound.selector,
        bound.params,
        bound.tables,
        schedule,
        run,
        advance=advance,
        midway=midway,
    )
    return jax.tree.map(lambda leaf: leaf[0], found)


def chosen_policies(policies: Sequence[str | Policy]) -> list[Policy]:
    """Returns policies built from names and labels, all different."""
    if isinstance(policies, str | Policy):
        policies = [policies]
    if not isinstance(policies, Sequence):
        raise JsplitError(
            "policies must be a list of names or policies, got "
            f"{checks.shown(policies)}"
        )
    chosen = []
    for policy in policies:
        if not isinstance(policy, str | Policy):
            raise JsplitError(
                "policies must hold names or policies from make_policy, got "
                f"{checks.shown(policy)}"
            )
        chosen.append(parse_policy(policy) if isinstance(policy, str) else policy)
    if not chosen:
        raise JsplitError("policies must name at least one policy, got none")
    labels = [policy.label for policy in chosen]
    for label in labels:
        if labels.count(label) > 1:
            raise JsplitError(f"policies must all be different, got {label!r} twice")
    return chosen


def _steps(
    horizon: int, number: int, given: Sequence[int] | None, *, log: bool
) -> tuple[int, ...]:
    """Returns the steps at which regret is kept, T among them."""
    horizon = checks.integer("horizon", horizon, 1, MAX_STEPS)
    number = checks.integer("num_checkpoints", number, 1)
    if given is None:
        spaced = log_spaced if log else evenly_spaced
        return with_end(spaced(horizon, number), horizon)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise JsplitError(
            f"checkpoints must be a list of steps, got {checks.shown(given)}"
        )
    steps = [checks.integer("checkpoints", step, 1, horizon) for step in given]
    return with_end(steps, horizon)
