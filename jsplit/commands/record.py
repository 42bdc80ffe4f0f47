"""`jsplit record`."""

import dataclasses
import pathlib
import sys
from typing import Annotated

import tyro

from jsplit.commands.common import (
    AsJson,
    Seed,
    is_terminal,
    print_json,
)
from jsplit.types import JsplitError
from jsplit.writing import make_folder


@dataclasses.dataclass(frozen=True)
class Record:
    """Run a trained network once over a data set and keep what every exit said.

    The network is a folder that `jsplit train` wrote. The trace is one file, which
    `jsplit evaluate` reads.

    Example: jsplit record mobilenet cifar10 --distort blur=0.8 --out blurred.npz
    """

    model: tyro.conf.Positional[pathlib.Path]
    """Folder of the network."""
    dataset: tyro.conf.Positional[str]
    """Data set, see `jsplit data list`, or digits."""
    out: pathlib.Path
    """File to write, NAME.npz."""
    split: str = "test"
    """Split to record, or a slice such as test[:1000]."""
    distort: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="NAME=LEVEL"),
    ] = ()
    """Distort images by blur, noise, contrast, brightness or jpeg; may be repeated."""
    quantise: int | None = None
    """Bits of the activation that is shipped at a split, 1 to 16 (as it is)."""
    calibrate: str | None = None
    """Split to fit a temperature per exit on, undistorted, such as train[90%:]."""
    keep_logits: bool = False
    """Keep the logits too, for a calibration later."""
    max_length: int | None = None
    """Tokens of a text, up to those the network was made for (as in training)."""
    data_dir: pathlib.Path | None = None
    """Folder of prepared data sets."""
    batch_size: int | None = None
    """Samples per call of the network (at most 1,024, fewer of large activations)."""
    seed: Seed = 0
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the recording."""
        import rich
        from rich.table import Table

        from jsplit.recording import job

        if self.out.suffix != ".npz":
            raise JsplitError(f"out must end in .npz, got {str(self.out)!r}")
        make_folder(self.out.parent, "out")
        trace = job.run(
            job.Job(
                model=self.model,
                dataset=self.dataset,
                split=self.split,
                distort=self.distort,
                quantise=self.quantise,
                calibrate=self.calibrate,
                keep_logits=self.keep_logits,
                max_length=self.max_length,
                data_dir=self.data_dir,
                batch_size=self.batch_size,
                seed=self.seed,
            ),
            progress=is_terminal(),
            say=lambda line: print(f"{line} ...", file=sys.stderr),
        )
        trace.save(self.out, compress=True)
        columns = {
            "accuracy": trace.accuracy.tolist(),
            "mean confidence": trace.confidence.mean(axis=0, dtype=float).tolist(),
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
        if self.quantise is not None:
            sizes = trace.meta["split_bytes_quantised"][str(self.quantise)]
        for i, row in enumerate(zip(*columns.values(), strict=True)):
            cells = [f"{value:.4f}" for value in row]
            table.add_row(str(i + 1), *cells, f"{sizes[i]:,}")
        rich.print(table)
        print(f"{trace.num_samples:,} samples in {self.out}")
