"""One call from a trace, policies and costs to results with provenance.

Here: `evaluate`, which checks arguments, builds the tables of each policy, runs the
engine and hands the sums to `results`. Called by users, the command line and sweeps.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jsplit import checks, outcomes, results, streams
from jsplit.costs import Costs
from jsplit.engine import replay, shard, tables
from jsplit.policies.base import Policy
from jsplit.policies.registry import parse_policy
from jsplit.policies.splitee import split_plans
from jsplit.trace import Trace
from jsplit.types import JsplitError, Outcome, Plan, Protocol, Range

NUM_CHECKPOINTS = 64
MAX_INDEX = 2**31 - 1  # steps and table cells are numbered in int32
MAX_REPLICAS = 10**8  # beyond it one result no longer fits a host: sweep over seeds


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A policy bound to a trace, costs and a protocol: all that the engine needs."""

    policy: Policy
    tables: tables.Tables
    mean: Outcome  # [K] float64 means over the N samples, of every plan
    rewards: Range  # what every reward lies in, whatever the trace says


def evaluate(
    trace: Trace,
    policies: Sequence[str | Policy],
    costs: Costs,
    *,
    num_replicas: int = 1024,
    first_replica: int = 0,
    stream: streams.Kind = "shuffle",
    horizon: int | None = None,
    protocol: str | Protocol = "paper",
    seed: int = 0,
    record_arms: bool = False,
    num_checkpoints: int = NUM_CHECKPOINTS,
    block_size: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = False,
) -> "results.Dataset":
    """Replays every policy over the same random streams and returns what happened.

    Replica r of every policy sees the same samples in the same order, whichever
    policies, blocks and devices there are, so differences are paired.

    Args:
        trace: what the network says at every exit, N samples, L exits.
        policies: names, labels such as "fixed_split(depth=3)", or policies from
            `make_policy`, all different.
        costs: costs for the L exits.
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
        num_checkpoints: at most so many log-spaced steps at which regret is kept.
        block_size: replicas a device steps through together; changes speed only.
        devices: JAX devices to use, all by default; changes speed only.
        progress: show a progress bar.

    Returns:
        An `xarray.Dataset` with, per policy and replica, `reward`, `cost`, `correct`
        and `offloaded` (means over the steps), `pulls` per plan, and `pseudo_regret`
        and `realised_regret` at the checkpoints. Regret is against the best fixed plan
        in hindsight, from the table: among the policy's own plans or, for a policy with
        a single plan, among SplitEE's splits at its alpha (0.7 if it has none).
        Attributes hold provenance.

    Raises:
        JsplitError: for an argument out of its range, with one line that says so.

    Example:
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = Trace.from_arrays(confidence, correct=correct)
        >>> result = evaluate(trace, ["splitee", "final_exit"], Costs.splitee(2))
        >>> result.correct.mean("replica").sel(policy="final_exit").item()
        0.6666666666666666
    """
    check_inputs(trace, costs)
    num_replicas = checks.integer("num_replicas", num_replicas, 1, MAX_REPLICAS)
    first_replica = checks.integer("first_replica", first_replica, 0, MAX_INDEX // 2)
    kind: Any = checks.choice("stream", stream, streams.KINDS)
    if kind == "bootstrap" and first_replica % streams.ORDERS:
        raise JsplitError(
            f"first_replica must be a multiple of {streams.ORDERS} for bootstrap "
            f"streams, got {first_replica}"
        )
    horizon = trace.num_samples if horizon is None else horizon
    horizon = checks.integer("horizon", horizon, 1, MAX_INDEX - 64)
    seed = checks.integer("seed", seed, 0, 2**32 - 1)
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
    checkpoints = _checkpoints(horizon, num_checkpoints)
    schedule = replay.make_schedule(horizon, trace.num_samples, checkpoints)
    runs = {}
    with _progress(progress, len(chosen) * num_replicas) as advance:
        for policy in chosen:
            prepared = prepare(policy, trace, costs, protocol)
            runs[policy.label] = _run(
                prepared,
                kind,
                schedule,
                protocol,
                seed=seed,
                num_replicas=num_replicas,
                first_replica=first_replica,
                num_checkpoints=checkpoints.size,
                record_steps=horizon if record_arms else None,
                devices=devices,
                block_size=block_size,
                advance=advance,
                exact_horizon=_visits_all(kind, horizon, trace.num_samples),
            )
    return results.build(
        runs,
        checkpoints,
        horizon,
        trace=trace,
        costs=costs,
        policies=chosen,
        protocol=protocol,
        stream=kind,
        seed=seed,
        first_replica=first_replica,
    )


def prepare(policy: Policy, trace: Trace, costs: Costs, protocol: Protocol) -> Prepared:
    """Returns a policy's outcomes on every sample, packed for the engine."""
    plan, outcome = outcomes_of(policy, trace, costs, protocol)
    billed = _on_device(outcomes.cost_table(costs))
    all_heads = np.bool_(protocol.learned_cost == "all_heads")
    num_plans = outcome.reward.shape[1]
    if outcome.reward.size > MAX_INDEX:
        raise JsplitError(
            f"samples x plans must be at most {MAX_INDEX}, got "
            f"{trace.num_samples} x {num_plans} for policy {policy.label}"
        )
    mean = Outcome(*(np.asarray(x, np.float64).mean(0) for x in outcome))
    comparators, comparator_means = outcome.reward, np.asarray(mean.reward)
    if num_plans == 1:
        splits = _on_device(split_plans(trace.num_exits, policy.alpha))
        by_confidence = outcomes.answers(trace, "confidence")
        comparators = outcomes.tabulate(splits, by_confidence, billed, all_heads).reward
        comparator_means = np.asarray(comparators, np.float64).mean(0)
    best = int(comparator_means.argmax())
    revealed = None
    if policy.reveal == "prefix":
        revealed = outcomes.revealed_by(
            plan,
            outcome.exit,
            strict=protocol.side_information == "strict",
            lossless=trace.lossless,
        )
    choice = None
    if policy.privileged:
        choice = np.asarray(outcome.reward).argmax(1).astype(np.int32)
    packed = tables.pack(
        outcome,
        outcomes.costs_by_exit(plan, billed, np.bool_(False)),
        comparators[:, best],
        float(comparator_means[best]),
        np.asarray(mean.reward),
        revealed,
        choice,
    )
    rewards = outcomes.reward_range(plan, billed, bool(all_heads))
    return Prepared(policy, packed, mean, rewards)


def outcomes_of(
    policy: Policy, trace: Trace, costs: Costs, protocol: Protocol
) -> tuple[Plan, Outcome]:
    """Returns the K plans of a policy and their outcomes, fields [N, K]."""
    answers = outcomes.answers(trace, policy.score)
    try:
        plan = _on_device(policy.plans(trace.num_exits, protocol))
    except JsplitError as error:
        raise JsplitError(f"policy {policy.label}: {error}") from None
    billed = _on_device(outcomes.cost_table(costs))
    all_heads = np.bool_(protocol.learned_cost == "all_heads")
    return plan, outcomes.tabulate(plan, answers, billed, all_heads)


def _on_device(tree: Any) -> Any:
    return jax.tree.map(jnp.asarray, tree)


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
    selector = policy.selector.under(protocol)
    plays = packed.num_plans if selector.initial_plays else 0
    free = protocol.initial_plays == "free"
    by_rounds = protocol.clock == "rounds"
    params = selector.default_params() if policy.params is None else policy.params
    run = shard.run(
        selector,
        selector.scaled(params, prepared.rewards),
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
    if packed.num_plans == 1 and exact_horizon:
        return _exact(run, prepared.mean, int(schedule.start[-1] + schedule.steps[-1]))
    return run


def _exact(run: shard.Replicas, mean: Outcome, horizon: int) -> shard.Replicas:
    """Returns a single plan's sums from the table: the order of a sum leaves no trace.

    A plan that sees every sample equally often has one value, not a distribution;
    adding its rewards in another order would feign a variance of rounding errors.
    """
    ones = np.ones_like(run.reward)
    final = run.realised_regret.copy()
    final[:, -1] = run.pseudo_regret[:, -1]
    return run._replace(
        reward=horizon * mean.reward[0] * ones,
        cost=horizon * mean.cost[0] * ones,
        realised_regret=final,
    )


def _visits_all(kind: str, horizon: int, num_samples: int) -> bool:
    return kind != "bootstrap" and horizon % num_samples == 0


def check_inputs(trace: Trace, costs: Costs) -> None:
    """Raises unless these are a trace and costs for its exits."""
    if not isinstance(trace, Trace):
        raise JsplitError(
            f"trace must be a jsplit.Trace, got {type(trace).__name__}; build one with "
            "Trace.from_logits or load_trace"
        )
    if not isinstance(costs, Costs):
        raise JsplitError(
            f"costs must be a jsplit.Costs, got {type(costs).__name__}; for instance "
            f"Costs.splitee({trace.num_exits})"
        )
    if costs.num_exits != trace.num_exits:
        raise JsplitError(
            f"costs must be for the trace's {trace.num_exits} exits, got costs for "
            f"{costs.num_exits}"
        )


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


def _checkpoints(horizon: int, num_checkpoints: int) -> np.ndarray:
    steps = np.geomspace(1, horizon, num_checkpoints).round().astype(np.int64)
    return np.unique(np.append(steps, horizon))


def _progress(show: bool, num_runs: int) -> Any:
    """Returns a context manager that gives a function counting finished replicas."""
    import contextlib

    if not show:
        return contextlib.nullcontext(lambda replicas: None)

    @contextlib.contextmanager
    def bar() -> Any:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("replaying", total=num_runs)
            advance: Callable[[int], None] = lambda n: progress.advance(task, n)  # noqa: E731
            yield advance

    return bar()
