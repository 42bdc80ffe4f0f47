"""`jsplit sweep`."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from jsplit import checks
from jsplit.commands.cluster import executor_of, print_status
from jsplit.commands.common import (
    AsJson,
    Quiet,
    Seed,
    load_traces,
    print_json,
    rows_of,
)
from jsplit.extras import MissingExtra
from jsplit.grammar import read_value
from jsplit.sweeps.merging import PARTS
from jsplit.sweeps.shares import read_shard
from jsplit.types import JsplitError
from jsplit.writing import make_folder

OVER = (
    "axes as NAME=VALUES: a list (offload=0.1,0.3,0.5), a range of evenly spaced "
    "values (offload=0.1:0.5:9) or of log-spaced ones (beta=0.1:10:5:log). An axis is "
    "a number of the costs, of policies (alpha; splitee.alpha for one of them), or "
    "horizon, protocol or stream."
)

METRIC = (
    "what the best cell of a policy is best in: reward, accuracy or true_reward (the "
    "largest), or cost, offloaded, pseudo_regret or realised_regret (the least)."
)
BY = (
    "axes that are not yours to choose, such as offload or trace: the best cell is "
    "looked for at each of their values."
)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Evaluate policies for every combination of settings.

    Every cell has the numbers that `jsplit evaluate` gives for it. A folder keeps
    finished parts: the same command goes on where it stopped.

    Example: jsplit sweep trace.npz splitee final_exit --over offload=0.1:0.5:9 alpha=0.6,0.8 --out sweep

    Example: jsplit sweep clear.npz --traces blurred.npz --over offload=0.1,0.5 --show
    """  # noqa: E501

    trace: tyro.conf.Positional[pathlib.Path | None] = None
    """the trace or table to judge on, see `jsplit evaluate --help`."""
    policies: tyro.conf.Positional[tuple[str, ...]] = ("splitee", "final_exit")
    """policies, see `jsplit policies`."""
    over: Annotated[tuple[str, ...], tyro.conf.arg(help=OVER)] = ()
    traces: tuple[pathlib.Path, ...] = ()
    """more traces; all of them are then the axis "trace"."""
    costs: Literal["splitee", "isplitee"] = "splitee"
    """published costs to use; their arguments may be axes."""
    baseline: str | None = None
    """policy to compare with (final_exit, or the first policy)."""
    num_replicas: int = 1024
    """replicas per cell, R."""
    stream: Literal["shuffle", "bootstrap", "fixed"] = "shuffle"
    """other orders of the test set, other test sets, or the order of the data."""
    horizon: int | None = None
    """steps of a run (the size of the data set)."""
    protocol: Literal["paper", "released"] = "paper"
    """the published mathematics, or what the authors' code does."""
    metric: Annotated[str, tyro.conf.arg(help=METRIC)] = "reward"
    by: Annotated[tuple[str, ...], tyro.conf.arg(help=BY)] = ()
    out: pathlib.Path | None = None
    """folder for finished parts, sweep.nc.gz, table.csv, best.csv and figures."""
    workers: int | None = None
    """processes that replay, each with its share of the cores or GPUs (this one)."""
    dask: str | None = None
    """address of a Dask scheduler, such as tcp://host:8786, whose workers replay."""
    shard: str | None = None
    """i/n: only the i-th of n shares, for machines that share nothing; needs --out.
    `jsplit merge` puts the folders together."""
    status: pathlib.Path | None = None
    """say how far the sweep of this folder is, and run nothing."""
    show: bool = False
    """print the axes and the work, and run nothing."""
    seed: Seed = 0
    quiet: Quiet = False
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the sweep."""
        import rich

        import jsplit
        from jsplit import report
        from jsplit.results.metrics import PER_REPLICA

        if self.status is not None:
            print_status(self.status, as_json=self.as_json)
            return
        checks.choice("metric", self.metric, PER_REPLICA)
        shard = self._shard()
        trace = self._traces()
        over = parse_axes(self.over)
        for name in self.by:
            checks.choice("by", name, [*over, *(["trace"] if self.traces else [])])
        costs = getattr(jsplit.Costs, self.costs)
        if self.show:
            self._show(trace, costs, over)
            return
        with executor_of(self.workers, self.dask) as executor:
            runs = jsplit.sweep(
                trace,
                self.policies,
                costs,
                over,
                baseline=self.baseline,
                num_replicas=self.num_replicas,
                stream=self.stream,
                horizon=self.horizon,
                protocol=self.protocol,
                seed=self.seed,
                out=None if self.out is None else self.out / PARTS,
                executor=executor,
                shard=shard,
                progress=not self.quiet,
            )
        if shard is not None:
            print(f"share {self.shard} is finished; jsplit merge puts shares together")
            return
        if self.out is not None:
            make_folder(self.out, "out")
            runs.save(self.out / "sweep.nc.gz")
            report.to_csv(runs.summarize(), self.out / "table.csv")
        best = runs.best(self.metric, self.by)
        if self.out is not None:
            report.to_csv(best, self.out / "best.csv")
            _draw(runs, self.metric, self.out)
        if self.as_json:
            print_json({"axes": runs.axes, "best": rows_of(best)})
            return
        rich.print(report.render_best(best, self.metric, runs))

    def _shard(self) -> tuple[int, int] | None:
        if self.shard is None:
            return None
        if self.out is None:
            raise JsplitError("shard needs a folder: --out FOLDER, got none")
        return read_shard(self.shard)

    def _traces(self) -> Any:
        if self.trace is None:
            raise JsplitError("trace must be given, as in jsplit sweep TRACE; got none")
        traces = load_traces("traces", [self.trace, *self.traces])
        return traces if self.traces else traces[self.trace.stem]

    def _show(self, trace: Any, costs: Any, over: dict[str, list[Any]]) -> None:
        """Prints the axes and how many replicas there are to run."""
        from jsplit.evaluation.evaluate import chosen_policies
        from jsplit.sweeps.grid import make_grid

        grid = make_grid(trace, chosen_policies(self.policies), costs, over)
        for axis in grid.axes:
            print(f"{axis.name}: {', '.join(map(str, axis.values))}")
        cells, work = grid.num_cells(), grid.num_evaluations()
        print(
            f"{cells:,} cells, {work:,} evaluations of one policy with "
            f"{self.num_replicas:,} replicas each: {work * self.num_replicas:,} runs"
        )


def parse_axes(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Returns the values of axes such as "offload=0.1:0.5:9", by name.

    Raises:
        JsplitError: if a text is not of this form, or an axis is given twice.

    Example:
        >>> from jsplit.commands.sweep import parse_axes
        >>> parse_axes(["beta=0.1:10:3:log", "protocol=paper,released"])
        {'beta': [0.1, 1.0, 10.0], 'protocol': ['paper', 'released']}
    """
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, inside = (piece.strip() for piece in text.partition("="))
        if not equals or not name or not inside:
            raise JsplitError(f"over must be NAME=VALUES, got {text!r}")
        if name in axes:
            raise JsplitError(f"over must name every axis once, got {name} twice")
        if ":" in inside:
            axes[name] = _range(name, inside)
        else:
            axes[name] = [read_value(piece.strip()) for piece in inside.split(",")]
    return axes


def _range(name: str, inside: str) -> list[float]:
    """Returns the values of LOW:HIGH:COUNT, or LOW:HIGH:COUNT:log."""
    low, high, count, *scale = inside.split(":") + [""] * (2 - inside.count(":"))
    if scale not in ([], ["log"]):
        raise JsplitError(
            f"axis {name} must be LOW:HIGH:COUNT or LOW:HIGH:COUNT:log, got {inside!r}"
        )
    try:
        ends, number = (float(low), float(high)), int(count)
    except ValueError:
        raise JsplitError(
            f"axis {name} must be LOW:HIGH:COUNT, such as 0.1:0.5:9, got {inside!r}"
        ) from None
    for end in ends:
        checks.number(f"end of axis {name}", end)
    checks.integer(f"count of axis {name}", number, 1, 10**6)
    if scale and min(ends) <= 0:
        raise JsplitError(
            f"axis {name} must lie above 0 to be log-spaced, got {inside}"
        )
    values = (np.geomspace if scale else np.linspace)(*ends, number)
    # Without the last digits of an addition: 0.3, not 0.30000000000000004.
    return [float(f"{value:.12g}") for value in values]


def _draw(runs: Any, metric: str, out: pathlib.Path) -> None:
    """Writes the figures that a sweep has, where they can be drawn."""
    from jsplit import report

    try:
        drawn = report.sweep_front
    except MissingExtra as error:
        print(f"no figures: {error}", file=sys.stderr)
        return
    numeric = [
        name
        for name, values in runs.axes.items()
        if len(values) > 1 and all(isinstance(value, int | float) for value in values)
    ]
    drawn(runs, path=out / "front.png")
    for name in numeric[:1]:
        metrics = list(dict.fromkeys(["cost", "accuracy", metric]))
        report.sweep_panels(
            runs, name, metrics, best_in=metric, path=out / "curves.png"
        )
    if len(numeric) > 1:
        report.sweep_map(runs, numeric[0], numeric[1], metric, path=out / "map.png")
