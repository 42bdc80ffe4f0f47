"""`jsplit bench`."""

import dataclasses
import sys

from jsplit import checks
from jsplit.commands.common import AsJson, print_json


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
            print_json({"devices": devices, "rows": rows})
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
