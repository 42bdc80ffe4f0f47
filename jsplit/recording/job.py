"""From the folder of a trained network and the name of a data set to a trace.

Here: loading both so that they fit, distortions by name, calibration. Not here: the
pass (`recording.full_pass`), what users type (`commands.record`).
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import Array

from jsplit import checks
from jsplit.data import Dataset, load
from jsplit.data.digits import load_digits_splits
from jsplit.data.distort import distort, parse_distortion
from jsplit.data.loading import parse_split
from jsplit.data.read import find
from jsplit.models.files import load_model
from jsplit.models.shipping import MAX_BITS
from jsplit.recording.full_pass import Transform, record
from jsplit.traces.calibration import calibrate
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

VOCAB = "vocab.txt"  # beside the network, where it reads texts


@dataclasses.dataclass(frozen=True)
class Job:
    """What to record.

    Attributes:
        model: Folder that `save_model` wrote; for texts with a vocab.txt in it.
        dataset: Name of a data set, or "digits".
        split: Split to record, or a slice such as "test[:1000]".
        distort: Distortions of the images, such as "blur=0.8", applied in this order.
        quantise: Bits of the shipped activation; None = lossless.
        calibrate: Split to fit temperatures on, not distorted; None = as recorded.
        keep_logits: Whether the trace keeps the logits.
        max_length: Tokens of a text, longer ones are cut; None = as in training.
        data_dir: Folder of prepared data sets.
        batch_size: Samples per call of the network; None = as `record` chooses.
        seed: Of noise.
    """

    model: pathlib.Path
    dataset: str
    split: str = "test"
    distort: Sequence[str] = ()
    quantise: int | None = None
    calibrate: str | None = None
    keep_logits: bool = False
    max_length: int | None = None
    data_dir: pathlib.Path | None = None
    batch_size: int | None = None
    seed: int = 0


def run(
    job: Job,
    *,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Trace:
    """Loads a network and a data set and records the trace.

    Args:
        job: What to do.
        progress: Whether to show progress bars.
        say: Called with a line before each stage.

    Raises:
        JsplitError: Something is missing or does not fit.
    """
    # Here too: `record` would find these only when all is loaded.
    if job.batch_size is not None:
        checks.integer("batch_size", job.batch_size, 1)
    checks.seed(job.seed)
    if job.quantise is not None:
        checks.integer("quantise", job.quantise, 1, MAX_BITS)
    transform = _transform(job.distort)
    model, trained = load_model(job.model)
    data = _data(job, job.split, trained, progress)
    held_out = None
    if job.calibrate is not None:
        held_out = _data(job, job.calibrate, trained, progress)
        _refuse_overlap(data, held_out)
        learned = _learned(trained, job.dataset, held_out)
        if learned:
            say(
                f"note: the network was trained on {learned} of the {len(held_out)} "
                f"samples of {held_out.split}, which makes temperatures too small; "
                "train on another slice to hold some out"
            )

    def recorded(data: Dataset, transform: Transform | None, **options: Any) -> Trace:
        say(f"recording {data.split} of {job.dataset}, {len(data)} samples")
        return record(
            model,
            data,
            batch_size=job.batch_size,
            transform=transform,
            seed=job.seed,
            progress=progress,
            **options,
        )

    trace = recorded(
        data,
        transform,
        quantise=job.quantise,
        keep_logits=job.keep_logits or held_out is not None,
        dataset=", ".join([job.dataset, *job.distort]),
        distort=list(job.distort),
        source=dict(data.meta),
        trained_on=trained.get("dataset"),
    )
    if held_out is not None:
        trace = calibrate(trace, recorded(held_out, None, keep_logits=True))
    if not job.keep_logits:
        trace = dataclasses.replace(trace, logits=None, remote_logits=None)
    return trace


def _transform(texts: Sequence[str]) -> Transform | None:
    """Returns the distortions of one image, each with a key of its own."""
    distortions = [parse_distortion(text) for text in texts]
    if not distortions:
        return None

    def transform(image: Array, key: Array) -> Array:
        keys = jax.random.split(key, len(distortions))
        for (name, level), own in zip(distortions, keys, strict=True):
            image = distort(image[None], name, level, own)[0]
        return image

    return transform


def _refuse_overlap(recorded: Dataset, held_out: Dataset) -> None:
    """Raises if temperatures would be fitted on samples they are judged on."""
    shared = _shared(recorded.split, recorded.meta["rows"], held_out)
    if shared:
        raise JsplitError(
            f"calibrate must share no samples with the recorded {recorded.split}, "
            f"got {held_out.split}, which shares {shared}"
        )


def _learned(trained: dict[str, Any], dataset: str, held_out: Dataset) -> int:
    """Returns how many of the samples for temperatures the network has learned from.

    Or was measured on during its training, which does not say which ones.
    """
    if not {"split", "num_samples", "data"} <= set(trained):
        return 0  # `jsplit train` did not save it
    if trained.get("dataset") != dataset:
        return 0
    rows = trained["data"].get("rows", [0, trained["num_samples"]])
    return _shared(trained["split"], rows, held_out)


def _shared(split: str, rows: Sequence[int], other: Dataset) -> int:
    """Returns how many samples two slices have in common."""
    if parse_split(split)[0] != parse_split(other.split)[0]:
        return 0
    (first, end), (low, high) = rows, other.meta["rows"]
    return max(0, min(end, high) - max(first, low))


def _data(job: Job, split: str, trained: dict[str, Any], progress: bool) -> Dataset:
    """Returns a split in the shape the network was trained on, but for `max_length`."""
    dtype, *shape = trained.get("input", [None])
    is_text = dtype == "int32"
    vocab = job.model / VOCAB
    length = shape[-1] if is_text else trained.get("max_length", 128)
    if job.max_length is not None:
        if not vocab.exists():
            raise JsplitError(
                f"max_length is for texts, and the network in {job.model} reads none"
            )
        length = job.max_length
        shape = [*shape[:-1], length] if shape else shape
    if job.dataset == "digits":
        base, window = parse_split(split)
        halves = {half.split: half for half in load_digits_splits()}
        if base not in halves:
            raise JsplitError(f"split must be train or test for digits, got {split!r}")
        whole = halves[base]
        rows = window(len(whole))
        if rows.start >= rows.stop:
            raise JsplitError(
                f"split {split} of digits is empty: {len(whole)} in {base}"
            )
        data = dataclasses.replace(
            whole,
            inputs=whole.inputs[rows],
            labels=whole.labels[rows],
            split=split,
            meta={**whole.meta, "rows": [rows.start, rows.stop]},
        )
    else:
        kind = find(job.dataset, job.data_dir).entry.kind
        if dtype is not None and (kind == "texts") != is_text:
            raise JsplitError(
                f"{job.dataset} holds {kind}, but the network in {job.model} was "
                f"trained on {'texts' if is_text else 'images'}"
            )
        data = load(
            job.dataset,
            split,
            job.data_dir,
            tokenizer=vocab if vocab.exists() else None,
            max_length=length,
            image_size=tuple(shape[:2]) if len(shape) == 3 else None,
            progress=progress,
        )
    if job.distort and data.inputs.ndim != 4:
        raise JsplitError(f"distort needs images, and {job.dataset} holds none")
    if shape and [*data.inputs.shape[1:]] != shape:
        raise JsplitError(
            f"inputs of {job.dataset} have shape {[*data.inputs.shape[1:]]}, but the "
            f"network in {job.model} was trained on {shape}"
        )
    classes = trained.get("num_classes", data.num_classes)
    if data.num_classes != classes:
        raise JsplitError(
            f"{job.dataset} has {data.num_classes} classes, but the network in "
            f"{job.model} was trained for {classes}"
        )
    return data
