"""`jsplit sweep`."""

import contextlib
import dataclasses
import pathlib
import sys
from typing import Annotated, Any, Literal

import tyro

from jsplit import checks
from jsplit.commands.axes import OVER, parse_axes
from jsplit.commands.cluster import executor_of, print_status
from jsplit.commands.common import (
    AsJson,
    Columns,
    Quiet,
    Seed,
    load_traces,
    print_json,
    rows_of,
)
from jsplit.commands.stopping import advising
from jsplit.commands.sweep_show import show
from jsplit.extras import MissingExtra
from jsplit.sweeps.merging import PARTS
from jsplit.sweeps.shares import read_shard
from jsplit.types import JsplitError
from jsplit.writing import make_folder

METRIC = (
    "what the best cell of a policy is best in: reward, accuracy or true_reward (the "
    "largest), or cost, offloaded, pseudo_regret or realised_regret (the least)."
)
BY = (
    "axes that are not yours to choose, such as offload or trace: the best cell is "
    "looked for at each of their values, and so is the winner of a race."
)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Evaluate policies for every combination of settings.

    Every cell has the numbers that `jsplit evaluate` gives for it. A folder keeps
    finished parts: the same command goes on where it stopped.

    Example: jsplit sweep trace.npz splitee final_exit --over offload=0.1:0.5:9 alpha=0.6,0.8 --out sweep

    Example: jsplit sweep clear.npz --traces blurred.npz --over offload=0.1,0.5 --show

    Example: jsplit sweep trace.npz splitee --over alpha=~0.5:0.9 beta=~0.1:10:log --draws 200

    Example: jsplit sweep trace.npz --over offload=0.1:0.5:9 --fit best_split

    Example: jsplit sweep trace.npz --over alpha=0.5:0.9:40 --num-replicas 8192 --race reward

    Example: jsplit sweep trace.npz --over alpha=0.5:0.9:40 --confirm-top 3

    Example: jsplit sweep trace.npz --over offload=0.1,0.5 --metric cost --until-half-width 0.001

    The first word may be a TOML file that holds these flags as fields (trace, policies,
    num_replicas = 256 and so on, axes in a table [over]); flags beside it win.

    Example: jsplit sweep study.toml --num-replicas 64 --show
    """  # noqa: E501

    trace: tyro.conf.Positional[pathlib.Path | None] = None
    """the trace or table to judge on, see `jsplit evaluate --help`."""
    policies: tyro.conf.Positional[tuple[str, ...]] = ("splitee", "final_exit")
    """policies, see `jsplit policies`."""
    over: Annotated[tuple[str, ...], tyro.conf.arg(help=OVER)] = ()
    traces: tuple[pathlib.Path, ...] = ()
    """more traces; all of them are then the axis "trace"."""
    columns: Columns = ()
    draws: int | None = None
    """how many values axes such as alpha=~0.5:0.9 have, drawn with the seed."""
    fit: tuple[str, ...] = ()
    """rules fitted anew in every environment on held-out samples, see `jsplit evaluate
    --help`; all policies are judged on the others."""
    held_out: float = 0.2
    """share of the samples that --fit uses."""
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
    until_half_width: float | None = None
    """run replicas in rounds until the 95 % interval of the metric is this short."""
    max_replicas: int = 65_536
    """replicas per cell at most, with --until-half-width."""
    race: str | None = None
    """metric to race in: cells that are surely not the best stop early."""
    confirm_top: int | None = None
    """so many cells that are the best in the metric (that of a race) are run again on
    fresh replicas; a table says how much of the gain was luck."""
    keep: Literal["replicas"] | None = None
    """replicas: keep the value of every replica of every metric in the file of --out,
    for comparisons of any two cells."""
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
    """print the axes, the work and about how long it takes here, and sweep nothing."""
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
        arguments, understood = self._arguments()
        names = [
            x
            for key in arguments["over"]
            for x in ([key] if isinstance(key, str) else key)
        ]
        for name in self.by:
            checks.choice("by", name, [*names, *(["trace"] if self.traces else [])])
        if self.show:
            show(**arguments)
            return
        keeps = contextlib.nullcontext()
        if self.out is not None:
            keeps = advising(f"finished parts are in {self.out}; it goes on from there")
        with keeps, executor_of(self.workers, self.dask) as executor:
            runs = jsplit.sweep(
                **arguments,
                until=self._until(),
                max_replicas=self.max_replicas,
                race=self.race,
                by=self.by if self.race else (),
                confirm=self._confirm(),
                keep=self.keep,
                out=None if self.out is None else self.out / PARTS,
                executor=executor,
                shard=shard,
                progress=not self.quiet,
            )
        if not self.quiet:
            print(*understood, sep="\n", file=sys.stderr)
        if shard is not None:
            print(f"share {self.shard} is finished; jsplit merge puts shares together")
            return
        if "replicas_saved" in runs.attrs and not self.quiet:
            saved, most = runs.attrs["replicas_saved"], runs.attrs["replicas_at_most"]
            text = f"{saved:,} of {most:,} replicas saved ({saved / most:.0%})"
            print(text, file=sys.stderr)
        if self.out is not None:
            make_folder(self.out, "out")
            runs.save(self.out / "sweep.nc.gz")
            report.to_csv(runs.summarize(), self.out / "table.csv")
        best = runs.best(self.metric, self.by)
        if self.out is not None:
            report.to_csv(best, self.out / "best.csv")
            _draw(runs, self.metric, self.out)
        again = None
        if self.confirm_top is not None:
            again = runs.confirmed(self.race or self.metric)
        if self.as_json:
            told = {} if again is None else {"confirmed": rows_of(again)}
            print_json({"axes": runs.axes, "best": rows_of(best), **told})
            return
        rich.print(report.render_best(best, self.metric, runs))
        if again is not None:
            _print_confirmed(again, self.race or self.metric)

    def _until(self) -> dict[str, float] | None:
        if self.until_half_width is None:
            return None
        return {self.metric: self.until_half_width}

    def _confirm(self) -> dict[str, int] | None:
        if self.confirm_top is None:
            return None
        return {self.race or self.metric: self.confirm_top}

    def _shard(self) -> tuple[int, int] | None:
        if self.shard is None:
            return None
        if self.out is None:
            raise JsplitError("shard needs a folder: --out FOLDER, got none")
        return read_shard(self.shard)

    def _arguments(self) -> tuple[dict[str, Any], list[str]]:
        """Returns what `jsplit.sweep` takes, but what only says how it runs.

        Also returns what was understood of each file.
        """
        import jsplit

        if self.trace is None:
            raise JsplitError("trace must be given, as in jsplit sweep TRACE; got none")
        traces, understood = load_traces(
            "traces", [self.trace, *self.traces], self.columns
        )
        arguments = {
            "trace": traces if self.traces else traces[self.trace.stem],
            "policies": self.policies,
            "costs": getattr(jsplit.Costs, self.costs),
            "over": parse_axes(self.over, self.draws, self.seed),
            "fit": self.fit,
            "held_out": self.held_out,
            "baseline": self.baseline,
            "num_replicas": self.num_replicas,
            "stream": self.stream,
            "horizon": self.horizon,
            "protocol": self.protocol,
            "seed": self.seed,
        }
        return arguments, understood


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
        if name in runs.data.coords  # not axes that vary together
        and len(values) > 1
        and all(isinstance(value, int | float) for value in values)
    ]
    drawn(runs, path=out / "front.png")
    for name in numeric[:1]:
        metrics = list(dict.fromkeys(["cost", "accuracy", metric]))
        report.sweep_panels(
            runs, name, metrics, best_in=metric, path=out / "curves.png"
        )
    if len(numeric) > 1:
        report.sweep_map(runs, numeric[0], numeric[1], metric, path=out / "map.png")


def _print_confirmed(again: Any, metric: str) -> None:
    """Prints first and fresh estimates of the best cells as a table."""
    import rich
    from rich.table import Table

    table = Table(
        *map(str, again.columns),
        title=f"The best cells again, on fresh replicas: {metric}",
        caption=f"Differences are to {again.attrs['baseline']}. Luck is what the first "
        "difference had and the fresh one has not.",
    )
    for _, row in again.iterrows():
        cells = [f"{x:.5g}" if isinstance(x, float) else str(x) for x in row.tolist()]
        table.add_row(*("–" if x == "nan" else x for x in cells))
    rich.print(table)
