"""`jsplit quickstart`."""

import dataclasses
import os
import pathlib
import time

from jsplit import checks
from jsplit.commands.common import (
    AsJson,
    Quiet,
    Seed,
    print_json,
    rows_of,
    stages,
)
from jsplit.folders.lock import locked
from jsplit.writing import make_folder


@dataclasses.dataclass(frozen=True)
class Quickstart:
    """Train, record, replay and compare on real images, in about a minute.

    Trains a small 6-exit CNN on handwritten digits, records pristine, blurred and
    noisy test images, replays SplitEE's policies and every baseline over shuffled and
    over resampled streams, prints the comparison and writes traces, results (netCDF),
    tables (CSV, Markdown) and figures into one folder. Works offline.
    """

    out: pathlib.Path = pathlib.Path("quickstart")
    """folder to write into; files of an earlier quickstart there are replaced."""
    num_replicas: int = 4096
    """replicas of every policy and stream."""
    num_epochs: int = 30
    """training epochs."""
    offload: float = 0.3
    """cost of shipping a sample; a layer and its head cost 0.1."""
    seed: Seed = 0
    quiet: Quiet = False
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the quickstart."""
        import rich

        from jsplit import quickstart, report

        start = time.perf_counter()
        checks.integer("num_replicas", self.num_replicas, 1)
        checks.integer("num_epochs", self.num_epochs, 1)
        checks.number("offload", self.offload, 0.0)
        checks.seed(self.seed)
        make_folder(self.out, "out")
        with locked(self.out, "out"):
            written = quickstart.run(
                self.out,
                num_replicas=self.num_replicas,
                num_epochs=self.num_epochs,
                offload=self.offload,
                seed=self.seed,
                progress=not self.quiet,
                say=stages(self.quiet),
            )
        seconds = time.perf_counter() - start
        if self.as_json:
            tables = {
                f"{name}-{stream}": rows_of(table)
                for (name, stream), table in written.tables.items()
            }
            print_json(
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
            print(f"accuracy of exits 1..{len(accuracy)}, {name:9s} {shown}")
        for stream in quickstart.STREAMS:
            rich.print(report.render(written.tables["pristine", stream]))
        print(
            f"{len(written.files)} files in {self.out}{os.sep} after {seconds:.0f} s: "
            "tables.md has all comparisons, cost-accuracy-*.png and regret-*.png the "
            "pictures"
        )
