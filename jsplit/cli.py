"""The `jsplit` command: parse, call one function, show or write what it returns.

Here: one frozen dataclass per subcommand and its `run`. Not here: any computation.
Errors a user can mend end in one line on standard error and exit status 2.
"""

import dataclasses
import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

from jsplit import checks
from jsplit.types import JsplitError

Seed = Annotated[int, tyro.conf.arg(help="Seed of everything random, >= 0.")]
AsJson = Annotated[
    bool, tyro.conf.arg(name="json", help="Print JSON on standard output instead.")
]


@dataclasses.dataclass(frozen=True)
class Quickstart:
    """Train, record, replay and compare on real images, in about a minute.

    Trains a small 6-exit CNN on scikit-learn's digits, records pristine, blurred and
    noisy test images, replays every policy over shuffled and over resampled streams,
    prints the comparison and writes traces, results (netCDF), tables (CSV, Markdown)
    and figures into one folder. Works offline.
    """

    out: pathlib.Path = pathlib.Path("quickstart")
    """Folder to write into; files of an earlier quickstart there are replaced."""
    num_replicas: int = 4096
    """Replicas of every policy and stream."""
    num_epochs: int = 30
    """Training epochs."""
    offload: float = 0.3
    """Cost of shipping a sample; a layer and its head cost 0.1."""
    seed: Seed = 0
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the quickstart."""
        import rich

        from jsplit import quickstart, report

        start = time.perf_counter()
        checks.integer("num_replicas", self.num_replicas, 1)
        checks.number("offload", self.offload, 0.0)
        _make_folder(self.out)
        written = quickstart.run(
            self.out,
            num_replicas=self.num_replicas,
            num_epochs=self.num_epochs,
            offload=self.offload,
            seed=self.seed,
            progress=_is_terminal(),
            say=lambda line: print(f"{line} ...", file=sys.stderr),
        )
        seconds = time.perf_counter() - start
        if self.as_json:
            tables = {
                f"{name}-{stream}": _rows(table)
                for (name, stream), table in written.tables.items()
            }
            _print_json(
                {
                    "out": str(self.out),
                    "files": written.files,
                    "accuracy": written.accuracy,
                    "tables": tables,
                    "seconds": seconds,
                }
            )
            return
        for name, accuracy in written.accuracy.items():
            shown = " ".join(f"{value:.3f}" for value in accuracy)
            rich.print(f"accuracy of exits 1..{len(accuracy)}, {name:9s} {shown}")
        for stream in quickstart.STREAMS:
            rich.print(report.render(written.tables["pristine", stream]))
        rich.print(
            f"{len(written.files)} files in {self.out}{os.sep} after {seconds:.0f} s: "
            "tables.md has all comparisons, cost-accuracy-*.png and regret-*.png the "
            "pictures"
        )


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Replay policies on a recorded trace and compare them.

    The trace is what a network says at every exit for every sample: a file that
    `Trace.save` wrote, a CSV or Parquet table (columns sample, exit, confidence,
    prediction, label), or an NPZ with arrays logits and labels.

    Example: jsplit evaluate trace.npz splitee final_exit "fixed_split(depth=3)"
    """

    trace: tyro.conf.Positional[pathlib.Path]
    """The trace or table to judge on."""
    policies: tyro.conf.Positional[tuple[str, ...]] = ()
    """Policies, see `jsplit policies`; all that the trace allows by default."""
    costs: Literal["splitee", "isplitee"] = "splitee"
    """Published costs to use."""
    offload: float = 0.5
    """Cost of shipping a sample."""
    alpha: float | None = None
    """Threshold for every policy that has one (each policy's default otherwise)."""
    num_replicas: int = 4096
    """Replicas, R."""
    stream: Literal["shuffle", "bootstrap", "fixed"] = "shuffle"
    """Other orders of the test set, other test sets, or the order of the data."""
    horizon: int | None = None
    """Steps of a run; the size of the data set by default."""
    protocol: Literal["paper", "released"] = "paper"
    """The published mathematics, or what the authors' code does."""
    baseline: str = "final_exit"
    """Policy to compare with; added if missing."""
    out: pathlib.Path | None = None
    """Folder for result.nc, table.csv, table.md and figures."""
    seed: Seed = 0
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the evaluation."""
        import rich

        import jsplit
        from jsplit import report

        trace = jsplit.load_trace(self.trace)
        preset = getattr(jsplit.Costs, self.costs)
        costs = preset(trace.num_exits, offload=self.offload)
        policies = _chosen_policies(
            self.policies or _possible_policies(trace), self.alpha, self.baseline
        )
        if self.out is not None:
            _make_folder(self.out)
        result = jsplit.evaluate(
            trace,
            policies,
            costs,
            num_replicas=self.num_replicas,
            stream=self.stream,
            horizon=self.horizon,
            protocol=self.protocol,
            seed=self.seed,
            progress=_is_terminal(),
        )
        baseline = _with_alpha(self.baseline, self.alpha).label
        table = jsplit.summarize(result, baseline)
        if self.out is not None:
            jsplit.save_result(result, self.out / "result.nc")
            report.to_csv(table, self.out / "table.csv")
            with report.writing(self.out / "table.md"):
                text = report.to_markdown(table)
                (self.out / "table.md").write_text(text, encoding="utf-8")
            report.cost_accuracy(table, self.out / "cost-accuracy.png")
            report.regret_curves(result, self.out / "regret.png")
        if self.as_json:
            _print_json({"attrs": table.attrs, "rows": _rows(table)})
        else:
            rich.print(report.render(table))


@dataclasses.dataclass(frozen=True)
class Policies:
    """List the policies, what they do and the numbers they take."""

    as_json: AsJson = False

    def run(self) -> None:
        """Prints the list."""
        from jsplit.policies import registry

        rows = [
            {
                "policy": name,
                "numbers": registry.policy_numbers(name),
                "summary": registry.policy_summary(name),
            }
            for name in registry.policy_names()
        ]
        if self.as_json:
            _print_json(rows)
            return
        import rich
        from rich.table import Table

        table = Table("policy", "numbers (defaults)", "what it does")
        for row in rows:
            numbers = ", ".join(f"{k}={v:g}" for k, v in row["numbers"].items())
            table.add_row(row["policy"], numbers, row["summary"])
        rich.print(table)


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure the engine against the ways such replays are usually written.

    Times SplitEE and SplitEE-S with shuffles and all per-replica results, beside
    idiomatic JAX (`vmap(scan)` with `jax.random.permutation`), NumPy and a Python loop,
    in one run. Takes a few minutes; close other programs.
    """

    num_samples: int = 25_000
    """Samples, also the steps of a run."""
    num_exits: int = 12
    """Exits."""
    num_replicas: int = 4096
    """Replicas."""
    repeats: int = 3
    """Timed runs; the median counts."""
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the benchmark."""
        import jax
        import rich
        from rich.table import Table

        from jsplit import bench

        checks.integer("repeats", self.repeats, 1)
        rows = bench.measure_engine(
            num_samples=checks.integer("num_samples", self.num_samples, 1),
            num_exits=checks.integer("num_exits", self.num_exits, 2),
            num_replicas=checks.integer("num_replicas", self.num_replicas, 1),
            repeats=self.repeats,
            report=lambda row: print(f"{row.policy}: {row.how} done", file=sys.stderr),
        )
        devices = f"{len(jax.devices())} x {jax.devices()[0].device_kind}"
        if self.as_json:
            rows = [dataclasses.asdict(row) for row in rows]
            _print_json({"devices": devices, "rows": rows})
            return
        table = Table(
            "policy",
            "how",
            "ns per replica and step",
            "times jsplit",
            title=f"N = {self.num_samples}, L = {self.num_exits}, "
            f"R = {self.num_replicas}, {devices}",
        )
        for row in rows:
            cells = f"{row.nanoseconds:,.1f}", f"{row.ratio:,.1f}"
            table.add_row(row.policy, row.how, *cells)
        rich.print(table)


COMMANDS: dict[str, type] = {
    "quickstart": Quickstart,
    "evaluate": Evaluate,
    "policies": Policies,
    "bench": Bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status.

    Raises:
        SystemExit: from the parser, for --help and for what it cannot parse; its own
            message then names the option.
    """
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="jsplit",
            description="Judge split-computing and early-exit policies.",
            args=sys.argv[1:] if arguments is None else arguments,
        )
        command.run()
    except (JsplitError, ImportError, OSError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"jsplit: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jsplit: interrupted", file=sys.stderr)
        return 130
    return 0


def _chosen_policies(
    texts: Sequence[str], alpha: float | None, baseline: str
) -> list[Any]:
    policies = [_with_alpha(text, alpha) for text in texts]
    try:
        base = _with_alpha(baseline, alpha)
    except JsplitError as error:
        raise JsplitError(f"baseline: {error}") from None
    if base.label not in [policy.label for policy in policies]:
        policies.append(base)
    return policies


def _with_alpha(text: str, alpha: float | None) -> Any:
    """Returns the policy, with `alpha` where it takes one and none was written."""
    from jsplit.policies.registry import make_policy, parse_policy, policy_numbers

    policy = parse_policy(text)
    takes_alpha = "alpha" in policy_numbers(policy.name)
    if alpha is None or not takes_alpha or "alpha" in policy.numbers:
        return policy
    return make_policy(policy.name, **{**policy.numbers, "alpha": alpha})


def _possible_policies(trace: Any) -> list[str]:
    """Returns all policies but those that need what the trace does not carry."""
    from jsplit.policies.registry import make_policy, policy_names

    missing = set()
    if trace.entropy is None:
        missing.add("entropy")
    if trace.prediction is None:
        missing.add("patience")
    return [name for name in policy_names() if make_policy(name).score not in missing]


def _rows(table: Any) -> list[dict[str, Any]]:
    """Returns a summary as JSON rows; NaN and infinities, unknown to JSON, as null."""
    rows = table.to_dataframe().reset_index().to_dict("records")

    def plain(value: Any) -> Any:
        unknown = isinstance(value, float) and not math.isfinite(value)
        return None if unknown else value

    return [{key: plain(value) for key, value in row.items()} for row in rows]


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False, default=lambda x: x.item()))


def _make_folder(path: pathlib.Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".jsplit-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise JsplitError(f"out: cannot write into {path}: {reason}") from None


def _is_terminal() -> bool:
    return sys.stderr.isatty()
