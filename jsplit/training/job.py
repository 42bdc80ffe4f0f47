"""From the name of a data set and of a network to a folder with a trained one.

Here: data, vocabulary, network, training and the finished files, put together so that
the same request twice is one training. Not here: the training (`training.loop`), what
users type (`commands.train`).
"""

import dataclasses
import math
import pathlib
import shutil
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from jsplit import checks, memory
from jsplit.data import Dataset, Tokenizer, load, load_texts, train_wordpiece
from jsplit.data.loading import parse_split
from jsplit.data.read import find
from jsplit.folders.lock import locked
from jsplit.models.files import DESCRIPTION, WEIGHTS, load_model, save_model
from jsplit.models.multi_exit import MultiExit
from jsplit.models.registry import check_arguments, make_model, model_arguments
from jsplit.models.weights.load import load_weights
from jsplit.models.weights.tensors import Source, fill, variables, weights_file
from jsplit.reading import content_of
from jsplit.training.checkpoint import refuse_another_run
from jsplit.training.loop import Training
from jsplit.training.request import Job
from jsplit.types import JsplitError
from jsplit.version import versions
from jsplit.writing import make_folder, write_text

CHECKPOINT, VOCAB = "checkpoint", "vocab.txt"
LEAST_VOCAB = 6  # tokens, where the number is not known yet
WEIGHT_BYTES = 20  # float32: itself, its gradient, two moments, an update


@dataclasses.dataclass(frozen=True)
class Trained:
    """A finished model folder.

    Attributes:
        model: the network.
        meta: what is stored beside its weights.
        is_new: False if the folder already held this very model.
    """

    model: MultiExit
    meta: Mapping[str, Any]
    is_new: bool


def run(
    job: Job,
    out: pathlib.Path,
    *,
    fresh: bool = False,
    num_devices: int | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Trains a network and leaves it in a folder; goes on with an unfinished job.

    Args:
        job: what to do.
        out: the folder.
        fresh: whether to remove what a job left in the folder before.
        num_devices: devices to train on, dividing the batch. None: see `train`.
        progress: whether to show progress.
        say: called with a line before each stage.

    Raises:
        JsplitError: if something does not fit, or the folder holds another job.
        Interrupted: if a signal came; the same job goes on from there.
    """
    request = request_of(job)
    if num_devices is not None:
        checks.integer("devices", num_devices, 1, jax.device_count())
    make_folder(out, "out")
    with locked(out, "out"):
        if fresh:
            _remove(out)
        return _run(job, out, request, num_devices, progress, say)


def _run(
    job: Job,
    out: pathlib.Path,
    request: Mapping[str, Any],
    num_devices: int | None,
    progress: bool,
    say: Callable[[str], None],
) -> Trained:
    """Returns what `run` does, of the folder that nobody else writes meanwhile."""
    if (out / DESCRIPTION).exists():
        model, meta = load_model(out)
        refuse_another_run(meta.get("request", {}), request, str(out))
        return Trained(model, meta, is_new=False)
    _check_exits(job)
    data, tokenizer = _data(job, out, progress, say)
    model = _model(job, data, tokenizer)
    devices = None if num_devices is None else jax.devices()[:num_devices]
    training = Training(model, data.inputs, data.labels, job.settings, devices)
    count = training.placement.num_devices
    say(
        f"training {job.model} with {model.num_exits} exits on {len(data)} samples "
        f"of {job.dataset}, on {count} device{'s' if count > 1 else ''}"
    )
    log = training.run(out / CHECKPOINT, facts=request, progress=progress)
    meta = {
        "request": request,
        "dataset": job.dataset,
        "split": job.split,
        "num_samples": len(data),
        "num_classes": data.num_classes,
        "input": [str(data.inputs.dtype), *data.inputs.shape[1:]],
        "data": dict(data.meta),
        "settings": job.settings.facts(),
        "log": {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(log).items()
        },
        "device": jax.devices()[0].device_kind,
        "versions": versions("flax"),
    }
    save_model(model, out, **meta)
    # Not before: a kill in between finds the finished state and saves it again.
    shutil.rmtree(out / CHECKPOINT, ignore_errors=True)
    return Trained(model, meta, is_new=True)


def request_of(job: Job) -> dict[str, Any]:
    """Returns what identifies a job, JSON-able: contents of files, not their names."""
    start = job.init_weights
    if start is not None:
        own = (start / DESCRIPTION).exists()
        start = start / WEIGHTS if own else weights_file(start)
    return {
        "dataset": job.dataset,
        "split": job.split,
        "model": job.model,
        "set": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in sorted(job.arguments.items())
        },
        "image_size": job.image_size,
        "max_length": job.max_length,
        "vocab (CRC-32)": None if job.vocab is None else _crc(job.vocab),
        "vocab_size": job.vocab_size,
        "init_weights (CRC-32)": None if start is None else _crc(start),
        **job.settings.facts(),
    }


def _holds_texts(job: Job) -> bool:
    """Returns whether the inputs are texts; raises if the data set is not there."""
    return find(job.dataset, job.data_dir).entry.kind == "texts"


def _data(
    job: Job, out: pathlib.Path, progress: bool, say: Callable[[str], None]
) -> tuple[Dataset, Tokenizer | None]:
    tokenizer = None
    if _holds_texts(job):
        tokenizer = _tokenizer(job, out / VOCAB, progress, say)
    data = load(
        job.dataset,
        job.split,
        job.data_dir,
        tokenizer=tokenizer,
        max_length=job.max_length,
        image_size=job.image_size,
        progress=progress,
    )
    return data, tokenizer


def _tokenizer(
    job: Job, kept: pathlib.Path, progress: bool, say: Callable[[str], None]
) -> Tokenizer:
    """Returns the tokenizer, whose vocabulary is kept in the model's folder."""
    if job.vocab is not None and job.vocab_size is not None:
        raise JsplitError("vocab and vocab_size: give one of them, got both")
    if job.vocab is not None:
        tokenizer = Tokenizer.from_vocab(job.vocab)
        write_text(kept, "".join(f"{token}\n" for token in tokenizer.vocab))
        return tokenizer
    if job.vocab_size is None:
        raise JsplitError(
            f"vocab must be given for the texts of {job.dataset}: --vocab FILE, or "
            "--vocab-size N to learn one from them"
        )
    # Learned again where one is kept, which may be that of another job.
    say(f"learning a vocabulary of {job.vocab_size} tokens")
    base, _ = parse_split(job.split)
    texts = load_texts(job.dataset, base, job.data_dir, progress=progress)
    return train_wordpiece(texts, job.vocab_size, kept)


def _model(job: Job, data: Dataset, tokenizer: Tokenizer | None) -> MultiExit:
    sizes = {"num_classes": data.num_classes}
    if tokenizer is None:
        sizes["in_channels"] = data.inputs.shape[-1]
    else:
        sizes["vocab_size"] = len(tokenizer)
    model = _made(job, sizes)
    if job.init_weights is not None:
        _start_from(model, job.init_weights)
    return model


def _made(job: Job, sizes: dict[str, int]) -> MultiExit:
    """Returns a network with random weights and sizes that the data fix."""
    if "vocab_size" in sizes:
        sizes = {**sizes, "max_length": job.max_length}
    check_arguments(job.model, job.arguments)  # not least for `rngs`, given below
    known = model_arguments(job.model)
    fixed = {name: value for name, value in sizes.items() if name in known}
    rngs = nnx.Rngs(job.settings.seed)
    return make_model(job.model, rngs=rngs, **{**fixed, **job.arguments})


def _check_exits(job: Job) -> None:
    """Raises if the network cannot be made or has other exits than the settings say.

    Or if it reads texts and the data are images, or the other way round. Costs no
    arrays and no data, which may take minutes to decode.
    """
    texts = _holds_texts(job)
    if texts != ("vocab_size" in model_arguments(job.model)):
        kinds = ("texts", "images") if texts else ("images", "texts")
        raise JsplitError(
            f"{job.dataset} holds {kinds[0]}, but model {job.model} reads {kinds[1]}"
        )
    data = find(job.dataset, job.data_dir)
    sizes = {"num_classes": data.num_classes}
    if data.image_shape is None:
        sizes["vocab_size"] = job.vocab_size or LEAST_VOCAB
    else:
        sizes["in_channels"] = data.image_shape[-1]
    try:
        model = nnx.eval_shape(lambda: _made(job, sizes))
    except JsplitError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise JsplitError(
            f"set: model {job.model} cannot be made of {checks.shown(job.arguments)}: "
            f"{checks.shown(str(error), 100)}"
        ) from None
    number = sum(math.prod(x.shape) for x in variables(model).values())
    memory.require(
        f"training the {number:,} weights of {job.model} with "
        f"{checks.shown(job.arguments)}",
        WEIGHT_BYTES * number,
        "a smaller network (--set)",
    )
    job.settings.checked_exit_weights(model.num_exits)


def _start_from(model: MultiExit, path: pathlib.Path) -> None:
    if (path / DESCRIPTION).exists():
        found = variables(load_model(path)[0])
        arrays = {name: np.asarray(array[...]) for name, array in found.items()}
        sources = {name: Source((name,)) for name in variables(model)}
        fill(model, sources, arrays, str(path))
    else:
        load_weights(model, path, random_exits=True)


def _remove(out: pathlib.Path) -> None:
    """Removes what `run` writes, and nothing else."""
    for name in (DESCRIPTION, WEIGHTS, VOCAB):
        (out / name).unlink(missing_ok=True)
    if (out / CHECKPOINT).exists():
        shutil.rmtree(out / CHECKPOINT)


def _crc(path: pathlib.Path) -> int:
    try:
        return zlib.crc32(content_of(path))
    except OSError as error:
        raise JsplitError(f"cannot read {path}: {error.strerror}") from None
