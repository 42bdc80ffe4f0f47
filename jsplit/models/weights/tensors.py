"""Weights that others have trained: reading their files, filling a network.

Here: safetensors and, where torch is installed, PyTorch files; tensors to arrays of a
network, with every misfit named. Not here: what the tensors of a network are called
(one file per network beside this one), files of jsplit itself (`models.files`).
"""

import importlib.util
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np
from flax import nnx

from jsplit import checks
from jsplit.extras import naming
from jsplit.reading import content_of, json_of
from jsplit.types import JsplitError

SHOWN = 5  # names of a fault that are listed; the rest is counted
INDEX = "model.safetensors.index.json"
USUAL = (INDEX, "model.safetensors", "pytorch_model.bin")  # in a downloaded folder
TORCH_SUFFIXES = (".bin", ".pt", ".pth")


class Source(NamedTuple):
    """Where one array of a network comes from.

    The tensors called `names` get their axes in the order `axes` and are then put side
    by side along the last axis. PyTorch's linear weight [out, in] is a kernel [in, out]
    by axes (1, 0), its convolution [out, in, h, w] a kernel by axes (2, 3, 1, 0).
    """

    names: tuple[str, ...]
    axes: tuple[int, ...] | None = None  # None = as in the file


def linear(ours: str, *theirs: str) -> dict[str, Source]:
    """Returns the sources of a dense layer made of PyTorch's, put side by side.

    Args:
        ours: dotted path of the layer in the network.
        *theirs: names of the layers in the file.
    """
    return {
        f"{ours}.kernel": Source(tuple(f"{name}.weight" for name in theirs), (1, 0)),
        f"{ours}.bias": Source(tuple(f"{name}.bias" for name in theirs)),
    }


def renamed(ours: str, theirs: str, names: Mapping[str, str]) -> dict[str, Source]:
    """Returns the sources of a module whose arrays have other names in the file.

    Args:
        ours: dotted path of the module in the network.
        theirs: its name in the file.
        names: their name of each array by ours.
    """
    return {f"{ours}.{x}": Source((f"{theirs}.{y}",)) for x, y in names.items()}


def read_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns the tensors of a file by name, 16-bit floats as float32.

    Args:
        path: a .safetensors file, the .index.json of one in several parts, a PyTorch
            file (.bin, .pt, .pth; read with `weights_only=True`, never as code), or a
            folder with one of the usual names.

    Returns:
        tensors by the name they have in the file.

    Raises:
        JsplitError: if the file is missing, truncated or of another kind, or if it is
            a PyTorch file and torch is not installed.

    Example:
        >>> import numpy as np, safetensors.numpy, tempfile
        >>> from jsplit.models.weights.tensors import read_weights
        >>> file = f"{tempfile.mkdtemp()}/model.safetensors"
        >>> safetensors.numpy.save_file({"w": np.ones(3, np.float16)}, file)
        >>> read_weights(file)
        {'w': array([1., 1., 1.], dtype=float32)}
    """
    path = weights_file(path)
    try:
        if path.name.endswith(".index.json"):
            return _read_parts(path)
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        if path.suffix in TORCH_SUFFIXES:
            return _read_torch(path)
    except OSError as error:
        raise JsplitError(f"weights: cannot read {path}: {error.strerror}") from None
    raise JsplitError(
        "weights must end in .safetensors, .index.json, .bin, .pt or .pth, "
        f"got {str(path)!r}"
    )


def weights_file(path: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the file of a downloaded folder that `read_weights` begins with.

    Args:
        path: a folder, or the file itself.

    Raises:
        JsplitError: if the folder has no file of a usual name.
    """
    path = checks.path("weights", path)
    if not path.is_dir():
        return path
    found = [name for name in USUAL if (path / name).is_file()]
    if not found:
        raise JsplitError(f"weights: {path} has none of {', '.join(USUAL)}")
    return path / found[0]


def fill(
    model: nnx.Module,
    sources: Mapping[str, Source],
    tensors: Mapping[str, np.ndarray],
    file: str,
) -> None:
    """Replaces arrays of a network by tensors, which must fit exactly.

    Nothing is replaced unless everything fits.

    Args:
        model: network whose arrays may be abstract (`nnx.eval_shape`).
        sources: where an array comes from, by its dotted path in the network, such as
            "blocks.1.narrow.kernel". An array without a source stays as it is.
        tensors: by name; all of them must be in use.
        file: where they come from, for the message.

    Raises:
        JsplitError: if tensors are missing, unexpected or misshapen; all kinds are
            named.
    """
    arrays = variables(model)
    used = [name for source in sources.values() for name in source.names]
    misshapen, found = [], {}
    for path, source in sources.items():
        wanted = _shape_in_file(arrays[path].shape, source)
        found[path] = []
        for name in source.names:
            part = tensors.get(name)
            if part is None:
                continue
            if part.shape != wanted:
                misshapen.append(f"{name} {list(part.shape)} for {list(wanted)}")
            elif source.axes is not None:
                part = part.transpose(source.axes)
            found[path].append(part)
    faults = [
        f"{kind} {', '.join(some[:SHOWN])}"
        + (f" and {len(some) - SHOWN} more" if len(some) > SHOWN else "")
        for kind, some in (
            ("missing", [name for name in used if name not in tensors]),
            ("unexpected", [name for name in tensors if name not in set(used)]),
            ("misshapen", misshapen),
        )
        if some
    ]
    if faults:
        raise JsplitError(f"model: {file} does not fit: {'; '.join(faults)}")
    state = nnx.state(model, nnx.Not(nnx.RngState))
    filled = {}
    for path, variable in nnx.to_flat_state(state):
        parts = found.get(".".join(map(str, path)))
        if parts is not None:
            value = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
            value = value.astype(variable.dtype, copy=False)
            filled[path] = variable.replace(jax.numpy.asarray(value))
    nnx.update(model, nnx.from_flat_state(filled))


def variables(model: nnx.Module) -> dict[str, Any]:
    """Returns every variable of a network that is not a random state, by dotted path.

    For example "blocks.1.linear.kernel".
    """
    state = nnx.state(model, nnx.Not(nnx.RngState))
    return {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(state)}


def _shape_in_file(shape: tuple[int, ...], source: Source) -> tuple[int, ...]:
    """Returns the shape that each tensor of a source has for an array of `shape`."""
    each = (*shape[:-1], shape[-1] // len(source.names)) if shape else shape
    if source.axes is None:
        return each
    return tuple(each[source.axes.index(axis)] for axis in range(len(each)))


def _read_parts(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        index = json_of(path)
        parts = sorted(set(index["weight_map"].values()))
        files = [path.parent / part for part in parts]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise JsplitError(
            f"weights: {path} is not an index of safetensors files"
        ) from None
    tensors: dict[str, np.ndarray] = {}
    for file in files:
        try:
            tensors.update(_read_safetensors(file))
        except FileNotFoundError:
            raise JsplitError(f"weights: {path} names {file.name}, not there") from None
    return tensors


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    found = tensors_of(content_of(path), f"weights: {path}")
    return {name: _plain(tensor) for name, tensor in found.items()}


def tensors_of(content: bytes, file: str) -> dict[str, np.ndarray]:
    """Returns the tensors of a safetensors file by name, as they are.

    Args:
        content: of the file.
        file: what it is called in a message.

    Raises:
        JsplitError: if it is truncated, or of a dtype that NumPy lacks.
    """
    with naming("reading weights"):
        import safetensors
    try:
        found = safetensors.deserialize(content)
    except (safetensors.SafetensorError, ValueError, OverflowError) as error:
        raise JsplitError(f"{file} is truncated or not safetensors: {error}") from None
    return {name: _from_bytes(file, name, tensor) for name, tensor in found}


def _from_bytes(file: str, name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    kinds = {"F": "f", "I": "i", "U": "u"}
    kind = tensor["dtype"]
    try:
        if kind == "BF16":
            dtype = np.dtype(ml_dtypes.bfloat16)
        elif kind == "BOOL":
            dtype = np.dtype(bool)
        else:
            dtype = np.dtype(f"<{kinds[kind[0]]}{int(kind[1:]) // 8}")  # not F8_E4M3
    except (KeyError, ValueError, TypeError):
        raise JsplitError(f"{file} has {name} of dtype {kind}") from None
    return np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])


def _read_torch(path: pathlib.Path) -> dict[str, np.ndarray]:
    import pickle

    path.open("rb").close()  # a missing file before a missing torch
    if importlib.util.find_spec("torch") is None:
        raise JsplitError(
            f"weights: {path.name} needs torch, which is not installed: pip install "
            "torch, or convert it where torch is: safetensors.torch.save_file("
            f"torch.load({path.name!r}, weights_only=True), 'model.safetensors')"
        )
    torch: Any = importlib.import_module("torch")
    # OSError: the index of a truncated file points at places that do not exist.
    foreign = OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except foreign as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0]
        raise JsplitError(
            f"weights: {path} is truncated or not a PyTorch file of weights: {reason}"
        ) from None
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    good = isinstance(loaded, dict) and all(
        isinstance(value, torch.Tensor) for value in loaded.values()
    )
    if not good:
        raise JsplitError(f"weights: {path} is not a PyTorch file of named tensors")
    return {
        # NumPy has no bfloat16 of its own.
        name: _plain((x.float() if x.dtype == torch.bfloat16 else x).numpy())
        for name, x in loaded.items()
    }


def _plain(array: np.ndarray) -> np.ndarray:
    """Returns 16-bit floats as float32, anything else as it is."""
    small = array.dtype.itemsize == 2 and array.dtype.kind not in "iu"
    return array.astype(np.float32) if small else array
