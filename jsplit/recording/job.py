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
from jsplit.data.distort import distort, parse_distortion
from jsplit.data.loading import parse_split
from jsplit.data.read import find
from jsplit.models.files import load_model
from jsplit.models.shipping import MAX_BITS
from jsplit.recording.full_pass import Transform, record
from jsplit.recording.request import Job
from jsplit.traces.calibration import calibrate
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

VOCAB = "vocab.txt"  # beside the network, where it reads texts


def run(
    job: Job,
    *,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Trace:
    """Loads a network and a data set and records the trace.

    Args:
        job: what to do.
        progress: whether to show progress.
        say: called with notes and, with progress, a line before each stage.

    Raises:
        JsplitError: if something is missing or does not fit.
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
        if progress:
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
    vocab = job.model / VOCAB
    length = shape[-1] if dtype == "int32" else trained.get("max_length", 128)
    if job.max_length is not None:
        if not vocab.exists():
            raise JsplitError(
                f"max_length is for texts, and the network in {job.model} reads none"
            )
        length = job.max_length
        shape = [*shape[:-1], length] if shape else shape
    _check_kind(job, dtype, shape)
    data = load(
        job.dataset,
        split,
        job.data_dir,
        tokenizer=vocab if vocab.exists() else None,
        max_length=length,
        image_size=tuple(shape[:2]) if len(shape) == 3 else None,
        progress=progress,
    )
    _check_shape(job, data.inputs.shape[1:], shape)
    _check_vocabulary(data, trained, vocab)
    classes = trained.get("num_classes", data.num_classes)
    if data.num_classes != classes:
        raise JsplitError(
            f"{job.dataset} has {data.num_classes} classes, but the network in "
            f"{job.model} was trained for {classes}"
        )
    return data


def _check_vocabulary(
    data: Dataset, trained: dict[str, Any], vocab: pathlib.Path
) -> None:
    known = trained.get("data", {}).get("vocab")
    if known is not None and data.meta.get("vocab") != known:
        raise JsplitError(
            f"model: {vocab} is damaged or not the one that the network learned with"
        )


def _check_kind(job: Job, dtype: str | None, shape: Sequence[int]) -> None:
    """Raises, before anything is decoded, if the network reads something else."""
    found = find(job.dataset, job.data_dir)
    kind = found.entry.kind
    if dtype is not None and (kind == "texts") != (dtype == "int32"):
        raise JsplitError(
            f"{job.dataset} holds {kind}, but the network in {job.model} was trained "
            f"on {'texts' if dtype == 'int32' else 'images'}"
        )
    if job.distort and kind != "images":
        raise JsplitError(f"distort needs images, and {job.dataset} holds none")
    if found.image_shape is not None and found.image_shape[-1:] != tuple(shape[-1:]):
        _check_shape(job, found.image_shape, shape)


def _check_shape(job: Job, found: Sequence[int | None], trained: Sequence[int]) -> None:
    if trained and [*found] != [*trained]:
        raise JsplitError(
            f"inputs of {job.dataset} have shape {[*found]}, but the network in "
            f"{job.model} was trained on {[*trained]}"
        )
