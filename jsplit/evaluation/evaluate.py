"""One call from a trace, policies and costs to results with provenance.

Here: `evaluate`, which checks arguments, runs the engine on the tables of each policy
(`prepare`) and hands the sums to `results`. Called by users and the command line.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.engine import replay, shard, streams
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import MAX_INDEX, Constant, Prepared, prepare
from jsplit.policies.base import Policy
from jsplit.policies.registry import parse_policy
from jsplit.progress import counted
from jsplit.results import bills as billing
from jsplit.results import dataset
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Protocol

NUM_CHECKPOINTS = 64
MAX_REPLICAS = 10**8  # beyond it one result no longer fits a host: sweep over seeds


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
    record_arms: bool = False,
    num_checkpoints: int = NUM_CHECKPOINTS,
    checkpoints: Sequence[int] | None = None,
    bills: Mapping[str, billing.BillCosts] | None = None,
    deadlines: Mapping[str, float] | None = None,
    block_size: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = False,
) -> "dataset.Dataset":
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
            and joined (`results.join`).
        stream: "shuffle" (other orders of the same test set), "bootstrap" (other test
            sets, resampled), "fixed" (the order of the data).
        horizon: T >= 1 steps, N by default. Longer runs pass over the data again, in a
            new order.
        protocol: "paper", "released" or a `Protocol` with switches of your own.
        seed: >= 0; the same seed gives the same numbers.
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
        block_size: replicas a device steps through together; changes speed only.
        devices: JAX devices to use, all by default; changes speed only.
        progress: show a progress bar.

    Returns:
        An `xarray.Dataset` with, per policy and replica, `reward`, `cost`, `correct`
        and `offloaded` (means over the steps), `pulls` per plan, and `pseudo_regret`
        and `realised_regret` at the checkpoints. Regret is against the best fixed plan
        in hindsight, from the table: among the policy's own plans or, for a policy with
        a single plan, among SplitEE's splits at its alpha (0.7 if it has none). In a
        scenario it is dynamic regret, against the best plan of each step's condition,
        and by condition there are `condition_pulls`, plays per plan, and sums over the
        steps of a condition: `condition_reward`, `condition_cost`, `condition_correct`,
        `condition_offloaded`, `condition_pseudo_regret`, `condition_realised_regret`;
        `summarize_conditions` makes a table of them. `best_played` counts the steps
        up to a checkpoint at which no plan was better. Attributes hold provenance.

    Raises:
        JsplitError: for an argument out of its range, with one line that says so.

    Example:
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = Trace.from_arrays(confidence, correct=correct)
        >>> result = evaluate(trace, ["splitee", "final_exit"], Costs.splitee(2))
        >>> round(result.correct.mean("replica").sel(policy="final_exit").item(), 6)
        0.666667
    """
    scenario = Scenario.of(trace, costs)
    num_replicas = checks.integer("num_replicas", num_replicas, 1, MAX_REPLICAS)
    first_replica = checks.integer("first_replica", first_replica, 0, MAX_INDEX // 2)
    kind: Any = checks.choice("stream", stream, streams.KINDS)
    if kind == "bootstrap" and first_replica % streams.ORDERS:
        raise JsplitError(
            f"first_replica must be a multiple of {streams.ORDERS} for bootstrap "
            f"streams, got {first_replica}"
        )
    horizon = scenario.num_samples if horizon is None else horizon
    horizon = checks.integer("horizon", horizon, 1, MAX_INDEX - 64)
    seed = checks.seed(seed)
    num_checkpoints = checks.integer("num_checkpoints", num_checkpoints, 1)
    if block_size is not None:
        block_size = checks.integer("block_size", block_size, 1)
    if devices is not None and (isinstance(devices, str) or not len(devices)):
        raise JsplitError(
            "devices must be a list of JAX devices such as jax.devices(), got "
            f"{checks.shown(devices)}"
        )
    protocol = Protocol.named(protocol)
    chosen = chosen_policies(policies)
    kept = _checkpoints(horizon, num_checkpoints, checkpoints, scenario.drift is None)
    chain = scenario.chain(horizon)
    schedule = replay.make_schedule(
        horizon, scenario.num_samples, kept, *(chain or (None, None))
    )
    billed, late = None, {}
    if bills is not None or deadlines:
        billed, late = billing.checked(bills, deadlines, scenario, dataset.METRICS)
    runs, gaps, charged = {}, {}, {}
    with counted("replaying", len(chosen) * num_replicas, show=progress) as count:
        for policy in chosen:
            prepared = prepare(policy, scenario, protocol)
            run = _run(
                prepared,
                kind,
                schedule,
                protocol,
                seed=seed,
                num_replicas=num_replicas,
                first_replica=first_replica,
                num_checkpoints=kept.size,
                record_steps=horizon if record_arms else None,
                record_visits=billed is not None,
                devices=devices,
                block_size=block_size,
                advance=count.advance,
                exact_horizon=_visits_all(kind, horizon, scenario.num_samples),
            )
            runs[policy.label], gaps[policy.label] = run, prepared.gap
            if billed is not None and run.visits is not None:
                charged[policy.label] = {
                    name: billing.charge(
                        run.visits, prepared.plans, by_condition, late.get(name)
                    )
                    for name, by_condition in billed.items()
                }
    return dataset.build(
        runs,
        gaps,
        kept,
        horizon,
        charged=charged,
        billed=billed,
        deadlines=late,
        scenario=scenario,
        policies=chosen,
        protocol=protocol,
        stream=kind,
        seed=seed,
        first_replica=first_replica,
    )


def _run(
    prepared: Prepared,
    kind: streams.Kind,
    schedule: replay.Schedule,
    protocol: Protocol,
    *,
    exact_horizon: bool,
    **options: Any,
) -> shard.Replicas:
    policy, packed = prepared.policy, prepared.tables
    selector = policy.selector.under(protocol).over_contexts(prepared.num_contexts)
    plays = packed.num_plans if selector.initial_plays else 0
    free = protocol.initial_plays == "free"
    by_rounds = protocol.clock == "rounds"
    params = selector.default_params() if policy.params is None else policy.params
    run = shard.run(
        selector,
        selector.informed(params, prepared.facts),
        packed,
        kind,
        options.pop("seed"),
        schedule,
        replay.Numbers(
            billed_plays=0 if free else plays,
            free_plays=plays if free else 0,
            # Rounds count the initial plays, charged or not; steps never do.
            clock_offset=plays * (int(by_rounds) - int(not free)),
        ),
        **options,
    )
    if prepared.constant is not None and exact_horizon:
        horizon = int(schedule.start[-1] + schedule.steps[-1])
        return _exact(run, prepared.constant, horizon)
    return run


def _exact(run: shard.Replicas, constant: Constant, horizon: int) -> shard.Replicas:
    """Returns the sums of a rule from the table: the order of a sum leaves no trace.

    A rule that does not learn and sees every sample equally often has one value, not a
    distribution; adding its rewards in another order would feign a variance of
    rounding errors.
    """
    ones = np.ones_like(run.reward)
    pseudo, realised = run.pseudo_regret.copy(), run.realised_regret.copy()
    pseudo[:, -1] = run.pulls @ constant.gap
    realised[:, -1] = horizon * constant.regret
    return run._replace(
        reward=horizon * constant.reward * ones,
        cost=horizon * constant.cost * ones,
        pseudo_regret=pseudo,
        realised_regret=realised,
    )


def _visits_all(kind: str, horizon: int, num_samples: int) -> bool:
    return kind != "bootstrap" and horizon % num_samples == 0


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


def _checkpoints(
    horizon: int, number: int, given: Sequence[int] | None, log_spaced: bool
) -> np.ndarray:
    if given is not None:
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise JsplitError(
                f"checkpoints must be a list of steps, got {checks.shown(given)}"
            )
        steps = [checks.integer("checkpoints", step, 1, horizon) for step in given]
    elif log_spaced:
        steps = np.geomspace(1, horizon, number).round().astype(np.int64)
    else:
        steps = np.linspace(0, horizon, number + 1)[1:].round().astype(np.int64)
    return np.unique(np.append(steps, horizon).clip(1))
