"""`jsplit record`."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from jsplit.commands.common import AsJson, Quiet, print_json, stages
from jsplit.folders.lock import locked
from jsplit.recording.request import Job
from jsplit.types import JsplitError
from jsplit.writing import make_folder


@dataclasses.dataclass(frozen=True)
class Record:
    """Run a trained network once over a data set and keep what every exit said.

    The network is a folder that `jsplit train` wrote. The trace is one file, which
    `jsplit evaluate` reads.

    Example: jsplit record mobilenet cifar10 --distort blur=0.8 --out blurred.npz
    """

    job: Annotated[Job, tyro.conf.OmitArgPrefixes]
    out: pathlib.Path
    """file to write, NAME.npz."""
    quiet: Quiet = False
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the recording."""
        import rich
        from rich.table import Table

        from jsplit.recording import job
        from jsplit.traces.trace import confidences_of

        if self.out.suffix != ".npz":
            raise JsplitError(f"out must end in .npz, got {str(self.out)!r}")
        make_folder(self.out.parent, "out")
        with locked(self.out, "out"):
            trace = job.run(self.job, progress=not self.quiet, say=stages(self.quiet))
            trace.save(self.out, compress=True)
        confidence = confidences_of("trace", trace)
        columns = {
            "accuracy": trace.accuracy.tolist(),
            "mean confidence": confidence.mean(axis=0, dtype=float).tolist(),
            "calibration error": trace.meta["expected_calibration_error"],
        }
        if "temperature" in trace.meta:
            columns["temperature"] = trace.meta["temperature"]
        if not trace.lossless:
            columns["accuracy if shipped"] = trace.remote_correct.mean(axis=0).tolist()
        if self.as_json:
            print_json({"out": str(self.out), "meta": trace.meta, **columns})
            return
        table = Table("exit", *columns, "bytes if shipped")
        sizes = trace.meta["split_bytes"]
        if self.job.quantise is not None:
            sizes = trace.meta["split_bytes_quantised"][str(self.job.quantise)]
        for i, row in enumerate(zip(*columns.values(), strict=True)):
            cells = [f"{value:.4f}" for value in row]
            table.add_row(str(i + 1), *cells, f"{sizes[i]:,}")
        rich.print(table)
        print(f"{trace.num_samples:,} samples in {self.out}")
