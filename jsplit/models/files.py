"""A network as two files: weights in safetensors, everything else in JSON.

Here: writing a folder that `load_model` turns back into the same network. Not here:
weights that others have trained (`models.weights`), the state of an unfinished
training (`training`).
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from jsplit.models.multi_exit import MultiExit
from jsplit.models.registry import REGISTRY, make_model
from jsplit.types import JsplitError

FORMAT = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def save_model(
    model: MultiExit, folder: str | os.PathLike[str], **meta: Any
) -> pathlib.Path:
    """Writes a network into a folder, each file complete or not there at all.

    Args:
        model: A registered network.
        folder: Made if need be; a network that is there is replaced.
        **meta: JSON-able facts to keep with it, such as data set and seed.

    Returns:
        The folder.

    Raises:
        JsplitError: The class of `model` is not registered.
        OSError: The folder cannot be written.
    """
    import safetensors.numpy

    name = next((k for k, v in REGISTRY.items() if type(model) is v), None)
    if name is None:
        raise JsplitError(
            f"model must be one of {', '.join(REGISTRY)}, got {type(model).__name__}"
        )
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = safetensors.numpy.save(
        {key: np.ascontiguousarray(value) for key, value in _arrays(model).items()}
    )
    description = {
        "format": FORMAT,
        "model": name,
        "arguments": dict(model.arguments),
        "meta": meta,
    }
    text = json.dumps(description, indent=2) + "\n"
    # Weights first: a description promises weights that fit it.
    for file, content in ((WEIGHTS, weights), (DESCRIPTION, text.encode())):
        part = folder / f".{file}.{os.getpid()}"
        try:
            part.write_bytes(content)
            part.replace(folder / file)
        finally:
            part.unlink(missing_ok=True)
    return folder


def load_model(
    folder: str | os.PathLike[str],
) -> tuple[MultiExit, dict[str, Any]]:
    """Returns a network that `save_model` wrote, and the facts kept with it.

    Args:
        folder: The folder that was written.

    Returns:
        model: The network with its weights.
        meta: The facts given to `save_model`.

    Raises:
        JsplitError: A file is missing, broken, or does not fit the other.
    """
    folder = pathlib.Path(folder)
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        content = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise JsplitError(
            f"model: cannot read {error.filename}: {error.strerror}; expected a folder "
            f"with {DESCRIPTION} and {WEIGHTS}, as `jsplit train` writes"
        ) from None
    except ValueError as error:
        raise JsplitError(
            f"model: {folder / DESCRIPTION} is not JSON: {error}"
        ) from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise JsplitError(
            f"model: {folder / DESCRIPTION} is not a description of format {FORMAT}"
        )
    arrays = _read(content, folder / WEIGHTS)
    # Shapes only: random weights would be computed to be thrown away.
    model = nnx.eval_shape(
        lambda: make_model(
            description["model"], rngs=nnx.Rngs(0), **description["arguments"]
        )
    )
    _fill(model, arrays, str(folder / WEIGHTS))
    # What is left abstract are random states (dropout), unused in evaluation.
    fresh = nnx.state(nnx.Rngs(0).default)
    for _, module in nnx.iter_graph(model):
        if isinstance(module, nnx.RngStream):
            nnx.update(module, fresh)
    return model, description["meta"]


def load_weights(model: nnx.Module, folder: str | os.PathLike[str]) -> None:
    """Puts the weights of a model folder into a network of the same shapes.

    Args:
        model: Its arrays are replaced, random states excepted.
        folder: A folder that `save_model` wrote.

    Raises:
        JsplitError: The weights cannot be read or do not fit.
    """
    file = pathlib.Path(folder) / WEIGHTS
    try:
        content = file.read_bytes()
    except OSError as error:
        raise JsplitError(f"weights: cannot read {file}: {error.strerror}") from None
    _fill(model, _read(content, file), str(file))


def _read(content: bytes, file: pathlib.Path) -> dict[str, np.ndarray]:
    import safetensors.numpy

    try:
        return safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise JsplitError(
            f"model: {file} is truncated or not safetensors: {error}"
        ) from None


def _arrays(model: nnx.Module) -> dict[str, Any]:
    """Returns every array of a network that is not a random state, by dotted path."""
    state = nnx.state(model, nnx.Not(nnx.RngState))
    flat = nnx.to_flat_state(state)
    return {".".join(map(str, path)): leaf[...] for path, leaf in flat}


def _fill(model: nnx.Module, arrays: Mapping[str, np.ndarray], file: str) -> None:
    """Replaces the abstract arrays of a network by `arrays`, which must fit exactly."""
    wanted = nnx.state(model, nnx.Not(nnx.RngState))
    flat = dict(nnx.to_flat_state(wanted))
    names = {".".join(map(str, path)): path for path in flat}
    missing = sorted(set(names) - set(arrays))
    foreign = sorted(set(arrays) - set(names))
    misshapen = sorted(
        name
        for name in set(names) & set(arrays)
        if flat[names[name]].shape != arrays[name].shape
    )
    faults = [
        f"{kind} {', '.join(some[:5])}{' ...' if len(some) > 5 else ''}"
        for kind, some in (
            ("missing", missing),
            ("unexpected", foreign),
            ("misshapen", misshapen),
        )
        if some
    ]
    if faults:
        raise JsplitError(f"model: {file} does not fit: {'; '.join(faults)}")
    filled = {
        path: flat[path].replace(jax.numpy.asarray(arrays[name]))
        for name, path in names.items()
    }
    nnx.update(model, nnx.from_flat_state(filled))
