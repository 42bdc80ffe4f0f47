"""Labelled data on disk: one gzipped netCDF file with a kind, a version, a checksum.

Here: what is written, and every way in which a file is refused. Not here: what is in
the data (`result`, `tables`).
"""

import gzip
import hashlib
import io
import json
import os
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks
from jsplit.types import JsplitError
from jsplit.writing import replacing

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

FORMAT = "jsplit"
FORMAT_VERSION = 1
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # of gzip: no name, no time
_TEXTS = "OUS"  # kinds of dtype
_NARROW = {np.dtype(np.int64): np.int32, np.dtype(bool): np.int8}  # netCDF-3 has less


def write(data: Dataset, kind: str, path: str | os.PathLike[str]) -> None:
    """Writes data as one file, whole or not at all.

    Attributes are stored as JSON, so that they come back as they were.

    Args:
        data: numbers and strings; integers must fit 32 bits.
        kind: what the data are.
        path: the file.
    """
    header = {
        "kind": kind,
        "format_version": FORMAT_VERSION,
        "sha256": _checksum(data, kind),
        "attributes": _plain(data.attrs),
    }
    bare = data.map(_narrow, keep_attrs=True).drop_attrs(deep=False)
    bare = bare.assign_attrs({FORMAT: json.dumps(header, sort_keys=True)})
    content = bytes(bare.to_netcdf(engine="scipy"))
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packed.compress(content) + packed.flush()
    length = (len(content) % 2**32).to_bytes(4, "little")
    with replacing(path) as temporary:
        temporary.write_bytes(
            _HEADER + body + zlib.crc32(content).to_bytes(4, "little") + length
        )


def read(path: str | os.PathLike[str]) -> tuple[Dataset, str]:
    """Returns the data of a file and their kind.

    Raises:
        JsplitError: if it is missing, damaged, foreign or from a newer jsplit.
    """
    path = str(checks.path("path", path))
    try:
        with open(path, "rb") as file:
            packed = file.read()
    except OSError as error:
        raise JsplitError(f"cannot read {path}: {error.strerror or error}") from None
    if not packed.startswith(_HEADER):
        raise JsplitError(f"{path} was not written by jsplit: it is no result file")
    data, header = _unpacked(path, packed)
    kind, version = header.get("kind"), header.get("format_version")
    attributes = header.get("attributes")
    if (
        not isinstance(kind, str)
        or type(version) is not int
        or version < 1
        or not isinstance(attributes, dict)
    ):
        raise JsplitError(f"{path} was not written by jsplit: it names no kind")
    if version > FORMAT_VERSION:
        raise JsplitError(
            f"this jsplit reads result format {FORMAT_VERSION}, got {version} in "
            f"{path}: written by a newer jsplit, which reads it"
        )
    data = data.assign_attrs(attributes)
    if _checksum(data, kind) != header.get("sha256"):
        raise JsplitError(f"{path} is damaged: its contents do not fit its checksum")
    return data, kind


def _unpacked(path: str, packed: bytes) -> tuple[Dataset, dict[str, Any]]:
    """Returns the data without attributes, and the header."""
    import xarray

    try:
        content = gzip.decompress(packed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # xarray's, about foreign contents
            data = xarray.load_dataset(io.BytesIO(content), engine="scipy")
            for variable in data.variables.values():
                if variable.dtype.kind in _TEXTS:  # decoded when first looked at
                    variable.values.astype(str)
        header = json.loads(data.attrs.pop(FORMAT, "{}"))
    except Exception as error:  # gzip, scipy, xarray and json raise many kinds
        reason = checks.shown(str(error), 80)
        raise JsplitError(f"{path} is damaged or truncated: {reason}") from None
    if not isinstance(header, dict):
        header = {}
    return data, header


def _checksum(data: Dataset, kind: str) -> str:
    """Returns the sha256 of everything in the data, whatever the width of numbers."""
    digest = hashlib.sha256(f"{kind} {json.dumps(_plain(data.attrs))}".encode())
    for name in sorted(map(str, data.variables)):
        variable = data.variables[name]
        values = np.asarray(variable.values)
        about = [name, *map(str, variable.dims), *values.shape, _plain(variable.attrs)]
        digest.update(json.dumps(about).encode())
        if values.dtype.kind in _TEXTS:
            digest.update(json.dumps(values.astype(str).tolist()).encode())
        else:
            wide = "<f8" if values.dtype.kind == "f" else "<i8"
            digest.update(np.ascontiguousarray(values, wide).tobytes())
    return digest.hexdigest()


def _plain(attributes: Any) -> dict[str, Any]:
    """Returns attributes as JSON knows them, in the order of their names."""
    return {
        str(name): value.item() if isinstance(value, np.generic) else value
        for name, value in sorted(attributes.items())
    }


def _narrow(values: Any) -> Any:
    narrow = _NARROW.get(values.dtype)
    if narrow is None:
        return values
    found = values.astype(narrow)
    if not (found == values).all():
        raise JsplitError(f"{values.name} must fit 32 bits to be saved, and does not")
    return found
