"""The .npz files in which traces are kept, as arrays and a header.

Here: writing one, and checking the header of one that is read. Not here: what the
arrays mean (`trace`), other files (`tables`).
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.types import JsplitError
from jsplit.writing import replacing

FORMAT = "jsplit-trace"
FORMAT_VERSION = 1


def write(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    entries: Mapping[str, np.ndarray],
    *,
    compress: bool,
) -> None:
    """Writes arrays and a header to one .npz file, whole or not at all.

    Args:
        path: where to write; must end in .npz.
        header: JSON-able values; format and version are added.
        entries: arrays by name; the name "header" is taken.
        compress: True = deflate.

    Raises:
        JsplitError: if `path` has another ending, or the system refuses to write.
    """
    target = checks.path("path", path)
    if target.suffix != ".npz":
        raise JsplitError(f"a trace is saved as .npz, got path {str(target)!r}")
    text = dump({"format": FORMAT, "version": FORMAT_VERSION, **header})
    arrays = {"header": np.frombuffer(text.encode(), np.uint8), **entries}
    save = np.savez_compressed if compress else np.savez
    with replacing(target) as temporary, open(temporary, "xb") as file:
        save(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]


def parse_header(header: np.ndarray) -> tuple[str, dict[str, Any]]:
    """Returns the sha256 and the metadata in the header that `write` wrote.

    Raises:
        JsplitError: if the header is damaged, foreign, or from a newer jsplit.
    """
    try:
        fields = json.loads(header.tobytes())
        version, sha256, meta = fields["version"], fields["sha256"], fields["meta"]
        known = fields["format"] == FORMAT and type(version) is int and version >= 1
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JsplitError("the header is damaged or not that of a trace") from error
    if not known:
        raise JsplitError(f"the header must be that of a {FORMAT}, got another")
    if version > FORMAT_VERSION:
        raise JsplitError(
            f"this jsplit reads trace format {FORMAT_VERSION}, got {version}: written "
            "by a newer jsplit, upgrade with pip install --upgrade jsplit"
        )
    return sha256, meta


def dump(meta: Mapping[str, Any]) -> str:
    """Returns JSON that is the same for the same contents.

    Raises:
        JsplitError: if something in `meta` is not JSON-able.
    """

    def plain(item: Any) -> Any:
        if isinstance(item, np.generic):
            return item.item()
        hint = ", use its tolist()" if hasattr(item, "tolist") else ""
        raise TypeError(f"type {type(item).__name__}{hint}")

    try:
        return json.dumps(meta, sort_keys=True, allow_nan=False, default=plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise JsplitError(
            f"meta {checks.shown(list(meta))} must be JSON-able, got {error}"
        ) from error
