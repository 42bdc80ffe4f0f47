"""What a sweep is, checked: its cells and how each environment is run.

Here: `Plan`, made of the arguments of `sweep` before anything runs. Not here: axes and
cells (`axes`, `grid`), running (`sweep`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jsplit import checks
from jsplit.engine.settings import Keep, Run
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.evaluate import NUM_CHECKPOINTS, chosen_policies, make_run
from jsplit.policies.base import Policy
from jsplit.results.summary import chosen_baseline
from jsplit.sweeps.axes import AnyCosts, Over
from jsplit.sweeps.fits import Rule, make_fits
from jsplit.sweeps.grid import Block, Grid, Place, make_grid
from jsplit.traces.trace import Trace
from jsplit.types import Protocol


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cells of a sweep, and how they are run.

    Attributes:
        grid: the axes and what they are axes of.
        baseline: label of the policy that others are compared with.
        blocks: all cells.
        how: arguments of `evaluate` for all environments, but what is an axis.
        machine: devices and sizes of blocks, which change speed only.
    """

    grid: Grid
    baseline: str
    blocks: tuple[Block, ...]
    how: Mapping[str, Any]
    machine: Mapping[str, Any]

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
        **how: the other arguments of `evaluate`.
    """
    chosen = chosen_policies(policies)
    fits = make_fits(fit)
    grid = make_grid(trace, chosen, costs, over, fits, held_out, checks.seed(seed))
    baseline = chosen_baseline(baseline, grid.labels)
    how = {**how, "protocol": Protocol.named(protocol), "seed": seed}
    machine = {"block_size": block_size, "devices": devices}
    blocks = tuple(grid.blocks(baseline))
    plan = Plan(grid, baseline, blocks, how, machine)
    for block in blocks:
        for place in block.places:
            plan.run(place)
    return plan
