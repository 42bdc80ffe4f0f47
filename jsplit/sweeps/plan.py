"""What a sweep is, checked: its cells and how each environment is run.

Here: `Plan`, made of the arguments of `sweep` before anything runs. Not here: axes and
cells (`axes`, `grid`), running (`sweep`).
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from jsplit import checks, memory
from jsplit.engine.settings import Keep, Run
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import check_routes, plans_of
from jsplit.evaluation.evaluate import NUM_CHECKPOINTS, chosen_policies, make_run
from jsplit.policies.base import Policy
from jsplit.results.metrics import PER_REPLICA
from jsplit.results.summary import chosen_baseline
from jsplit.sweeps.axes import AnyCosts, Over, opened
from jsplit.sweeps.fits import Rule, make_fits
from jsplit.sweeps.grid import Block, Grid, Place, made_at, make_grid
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Protocol

REPLICAS = "replicas"
SUMS_BYTES = 60  # of a replica and checkpoint, see `engine.layout`
MAX_KEPT = 2**28 - 1  # values of a metric, what a file holds of one variable


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cells of a sweep, and how they are run.

    Attributes:
        grid: the axes and what they are axes of.
        baseline: label of the policy that others are compared with.
        blocks: all cells.
        how: arguments of `evaluate` for all environments, but what is an axis.
        machine: devices and sizes of blocks, which change speed only.
        keep: metrics of which every replica's value is kept.
    """

    grid: Grid
    baseline: str
    blocks: tuple[Block, ...]
    how: Mapping[str, Any]
    machine: Mapping[str, Any]
    keep: tuple[str, ...] = ()

    def run(self, place: Place, **changes: Any) -> Run:
        """Returns how the replicas of an environment are run, checked.

        Args:
            place: the environment.
            **changes: what differs from `how`.
        """
        return make_run(
            place.scenario,
            **{**self.how, **changes, **place.run, **self.machine},
            num_checkpoints=NUM_CHECKPOINTS,  # as `evaluate`, for the same bits
            checkpoints=None,
            keep=Keep(),
        )


def make_plan(
    trace: Trace | Scenario | Mapping[str, Trace | Scenario],
    policies: Sequence[str | Policy],
    costs: AnyCosts,
    over: Over,
    *,
    fit: Sequence[str] | Mapping[str, str | Rule],
    held_out: float,
    baseline: str | None,
    protocol: str | Protocol,
    seed: int,
    block_size: int | None = None,
    devices: Sequence[Any] | None = None,
    keep: str | None = None,
    **how: Any,
) -> Plan:
    """Returns what the arguments of `sweep` describe, all of it built and checked.

    Args:
        trace: see `sweep`, and so are all others.
        policies: see there.
        costs: see there.
        over: see there.
        fit: see there.
        held_out: see there.
        baseline: see there.
        protocol: see there.
        seed: see there.
        block_size: see there.
        devices: see there.
        keep: see there.
        **how: the other arguments of `evaluate`.
    """
    chosen = [
        opened(policy, over) if given == policy.name else policy
        for given, policy in zip(policies, chosen_policies(policies), strict=True)
    ]
    fits = make_fits(fit)
    grid = make_grid(trace, chosen, costs, over, fits, held_out, checks.seed(seed))
    baseline = chosen_baseline(baseline, grid.labels)
    how = {**how, "protocol": Protocol.named(protocol), "seed": seed}
    machine = {"block_size": block_size, "devices": devices}
    blocks = tuple(grid.blocks(baseline))
    if keep is not None:
        checks.choice("keep", keep, (REPLICAS,))
    plan = Plan(grid, baseline, blocks, how, machine, PER_REPLICA if keep else ())
    for block in blocks:
        _check_block(plan, block)
    return plan


def _check_block(plan: Plan, block: Block) -> None:
    """Raises if a run is out of range, or a policy does not fit the network."""
    fitting: set[tuple[Any, ...]] = set()
    for place in block.places:
        run = plan.run(place)
        num_exits = place.scenario.num_exits
        routes = len(place.scenario.first.all_routes)
        kind = (num_exits, routes, run.protocol)
        if kind in fitting:
            continue
        fitting.add(kind)
        for policy in block.policies:
            fit = functools.partial(_check_fit, policy, num_exits, routes, run.protocol)
            made_at(plan.grid.values_at(block, place, policy), fit)


def _check_fit(
    policy: Policy, num_exits: int, num_routes: int, protocol: Protocol
) -> None:
    check_routes(policy, plans_of(policy, num_exits, protocol), num_routes)


def check_room(plan: Plan, most: int) -> None:
    """Raises if more values are to be kept than a file or the memory holds.

    Args:
        plan: of the sweep.
        most: replicas of a cell at most.
    """
    policies = max(len(block.policies) for block in plan.blocks)
    steps = max(
        len(plan.run(place).checkpoints) for x in plan.blocks for place in x.places[:1]
    )
    memory.require(
        f"{most:,} replicas x {policies} policies x {steps} checkpoints of a cell",
        most * (8 * len(PER_REPLICA) * policies + SUMS_BYTES * (steps + 4)),
        "fewer replicas",
    )
    number = plan.grid.num_cells() * len(plan.grid.labels) * most
    if plan.keep and number > MAX_KEPT:
        raise JsplitError(
            f"keep={REPLICAS!r} holds at most {MAX_KEPT:,} values of a metric (cells x "
            f"policies x replicas), got {number:,}: sweep fewer cells or replicas"
        )
