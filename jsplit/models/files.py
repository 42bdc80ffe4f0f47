"""A network as two files: weights in safetensors, everything else in JSON.

Here: writing a folder that `load_model` turns back into the same network. Not here:
weights that others have trained (`weights`), the state of an unfinished
training (`training`).
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx

from jsplit import checks
from jsplit.extras import naming
from jsplit.models.multi_exit import MultiExit
from jsplit.models.registry import REGISTRY, make_model
from jsplit.models.weights.tensors import Source, fill, tensors_of, variables
from jsplit.reading import content_of, json_of
from jsplit.types import JsplitError
from jsplit.writing import make_folder, replacing

FORMAT = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def save_model(
    model: MultiExit, folder: str | os.PathLike[str], **meta: Any
) -> pathlib.Path:
    """Writes a network into a folder, each file complete or not there at all.

    Args:
        model: a registered network.
        folder: made if need be; a network that is there is replaced.
        **meta: JSON-able facts to keep with it, such as data set and seed.

    Returns:
        the folder.

    Raises:
        JsplitError: if the class of `model` is not registered, or if the folder cannot
            be written.
    """
    with naming("a network's folder"):
        import safetensors.numpy

    name = next((k for k, v in REGISTRY.items() if type(model) is v), None)
    if name is None:
        raise JsplitError(
            f"model must be one of {', '.join(REGISTRY)}, got {type(model).__name__}"
        )
    folder = checks.path("folder", folder)
    make_folder(folder, "folder")
    weights = safetensors.numpy.save(
        {
            path: np.ascontiguousarray(variable[...])
            for path, variable in variables(model).items()
        }
    )
    description = {
        "format": FORMAT,
        "model": name,
        "arguments": dict(model.arguments),
        "meta": meta,
    }
    description["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    description["sha256"] = _checksum(description)
    text = json.dumps(description, indent=2) + "\n"
    # Weights first: a description promises weights that fit it.
    for file, content in ((WEIGHTS, weights), (DESCRIPTION, text.encode())):
        with replacing(folder / file) as temporary:
            temporary.write_bytes(content)
    return folder


def load_model(
    folder: str | os.PathLike[str],
) -> tuple[MultiExit, dict[str, Any]]:
    """Returns a network that `save_model` wrote, and the facts kept with it.

    Args:
        folder: the folder that was written.

    Returns:
        model: the network with its weights.
        meta: the facts given to `save_model`.

    Raises:
        JsplitError: if a file is missing or broken, or if it does not fit the other.
    """
    folder = checks.path("folder", folder)
    try:
        description = json_of(folder / DESCRIPTION)
        content = content_of(folder / WEIGHTS)
    except OSError as error:
        raise JsplitError(
            f"model: cannot read {error.filename}: {error.strerror}; expected a folder "
            f"with {DESCRIPTION} and {WEIGHTS}, as `jsplit train` writes"
        ) from None
    except ValueError as error:
        raise JsplitError(
            f"model: {folder / DESCRIPTION} is not JSON: {error}"
        ) from None
    good = isinstance(description, dict) and description.get("format") == FORMAT
    if not good or not {"model", "arguments", "meta"} <= set(description):
        raise JsplitError(
            f"model: {folder / DESCRIPTION} is not a description of format {FORMAT}"
        )
    if description.get("sha256") != _checksum(description):
        raise JsplitError(
            f"model: {folder / DESCRIPTION} is damaged: it does not fit its checksum"
        )
    arrays = tensors_of(content, f"model: {folder / WEIGHTS}")
    if description.get("weights_sha256") != hashlib.sha256(content).hexdigest():
        raise JsplitError(
            f"model: {folder / WEIGHTS} is damaged or of another network: it does not "
            f"fit the checksum in {DESCRIPTION}"
        )
    try:
        # Shapes only: random weights would be computed to be thrown away.
        model = nnx.eval_shape(
            lambda: make_model(
                description["model"], rngs=nnx.Rngs(0), **description["arguments"]
            )
        )
    except JsplitError as error:
        raise JsplitError(f"model: {folder / DESCRIPTION}: {error}") from None
    except Exception as error:  # of Python, Flax and JAX, about odd arguments
        raise JsplitError(
            f"model: {folder / DESCRIPTION} describes no network: "
            f"{checks.shown(str(error), 100)}"
        ) from None
    _fill(model, arrays, str(folder / WEIGHTS))
    return model, description["meta"]


def _checksum(description: Mapping[str, Any]) -> str:
    """Returns the checksum of all that a description says, but itself."""
    told = {name: value for name, value in description.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _fill(model: nnx.Module, arrays: Mapping[str, np.ndarray], file: str) -> None:
    """Replaces the abstract arrays of a network by `arrays`, which must fit exactly."""
    fill(model, {path: Source((path,)) for path in variables(model)}, arrays, file)
    # What is left abstract are random states (dropout), unused in evaluation.
    fresh = nnx.state(nnx.Rngs(0).default)
    for _, module in nnx.iter_graph(model):
        if isinstance(module, nnx.RngStream):
            nnx.update(module, fresh)
