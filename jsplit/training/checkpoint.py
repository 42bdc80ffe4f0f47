"""The state of an unfinished training on disk, for a run that goes on where it ended.

Here: writing it whole or not at all, reading the newest that is intact, refusing one of
another training. Not here: when to write (`training.loop`), finished networks
(`models.files`).
"""

import contextlib
import errno
import json
import logging
import os
import pathlib
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jsplit import checks
from jsplit.extras import naming
from jsplit.types import JsplitError
from jsplit.writing import make_folder

SEAL = "seal.json"  # written last: checksums of what makes a checkpoint
KEPT = 2  # the newest, and the one before should that be damaged


class Checkpoints:
    """A folder of checkpoints of one training, the newest two, written by Orbax."""

    def __init__(self, folder: str | os.PathLike[str], run: Mapping[str, Any]) -> None:
        """Opens a folder, making it if need be.

        Args:
            folder: where checkpoints are; it holds nothing else.
            run: JSON-able facts that fix the training. A checkpoint of other facts is
                refused.

        Raises:
            JsplitError: if the folder cannot be made or not be written into.
        """
        with naming("a checkpoint"):
            import orbax.checkpoint as ocp

        self._folder = checks.path("checkpoint", folder).absolute()
        self._run = dict(run)
        self._args = ocp.args
        make_folder(self._folder, "checkpoint")
        with _quiet():
            self._manager = ocp.CheckpointManager(
                self._folder,
                options=ocp.CheckpointManagerOptions(
                    max_to_keep=KEPT,
                    cleanup_tmp_directories=True,
                    # A step that returns has been written, so a kill costs little.
                    enable_async_checkpointing=False,
                ),
            )

    def save(self, step: int, tree: Any, facts: Mapping[str, Any]) -> None:
        """Writes a checkpoint, under a temporary name until it is whole.

        Args:
            step: steps taken, more than in all checkpoints there.
            tree: arrays, typed random keys included.
            facts: JSON-able, what else to keep.

        Raises:
            JsplitError: if the system refuses to write, for instance on a full disk.
        """
        arrays = flatten(tree)
        try:
            self._refuse_full_disk(sum(array.nbytes for array in arrays.values()))
            with _quiet(logging.CRITICAL):
                self._manager.save(
                    step,
                    args=self._args.Composite(
                        state=self._args.StandardSave(arrays),
                        facts=self._args.JsonSave({"run": self._run, "facts": facts}),
                    ),
                    force=True,
                )
            seal = self._folder / str(step) / SEAL
            part = seal.with_suffix(".part")
            part.write_text(json.dumps(_sums(seal.parent)), encoding="utf-8")
            part.replace(seal)
        except (OSError, ValueError) as error:
            reason = _system_reason(error)
            if reason is None:
                raise
            raise JsplitError(
                f"checkpoint: cannot write into {self._folder}: {reason}"
            ) from None

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Returns the newest intact checkpoint; damaged ones are removed.

        Args:
            like: a tree of the structure, shapes and dtypes that were saved.

        Returns:
            the tree and the facts, or None if there is no checkpoint.

        Raises:
            JsplitError: if the newest is of another training, or if none is intact.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        # Tested before Orbax reads: a damaged file leaves its threads in disorder.
        intact = [step for step in steps if _is_intact(self._folder / str(step))]
        if not intact:
            if any((self._folder / str(step) / SEAL).exists() for step in steps):
                raise JsplitError(
                    f"checkpoint: none of the {len(steps)} in {self._folder} can be "
                    "read; remove the folder or start over (--fresh)"
                )
            newest = 0  # at most a first one that was never finished
        else:
            newest = intact[0]
        with _quiet():
            for step in steps:
                if step > newest:
                    self._manager.delete(step)
            return self._read(newest, like) if intact else None

    def close(self) -> None:
        """Lets go of the folder."""
        self._manager.close()

    def _refuse_full_disk(self, num_bytes: int) -> None:
        """Raises before Orbax tries: its threads would each report a traceback."""
        if shutil.disk_usage(self._folder).free < num_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _read(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        item = self._args.Composite(facts=self._args.JsonRestore())
        found: Any = self._manager.restore(step, args=item)
        refuse_another_run(found.facts["run"], self._run, str(self._folder))
        wanted = {name: np.empty_like(x) for name, x in flatten(like).items()}
        item = self._args.Composite(state=self._args.StandardRestore(wanted))
        arrays: Any = self._manager.restore(step, args=item)
        arrays = {name: np.asarray(arrays.state[name]) for name in wanted}
        return unflatten(arrays, like), found.facts["facts"]


def refuse_another_run(
    found: Mapping[str, Any], wanted: Mapping[str, Any], where: str
) -> None:
    """Raises if two trainings differ, naming the first difference.

    Raises:
        JsplitError: if they differ.
    """
    for name in [*wanted, *(set(found) - set(wanted))]:
        before, now = found.get(name), wanted.get(name)
        if before != now:
            raise JsplitError(
                f"{name}: {where} holds a training with {checks.shown(before)}, got "
                f"{checks.shown(now)}; go on with the same, start over (--fresh) or "
                "use another folder"
            )


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """Returns the arrays of a tree by path, on the host; random keys as numbers."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(
            jax.random.key_data(leaf) if _is_key(leaf) else leaf
        )
        for path, leaf in leaves
    }


def unflatten(arrays: Mapping[str, np.ndarray], like: Any) -> Any:
    """Returns the tree that `flatten` gave, of the structure of `like`."""
    leaves, structure = jax.tree.flatten(like)
    filled = [
        jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))
        if _is_key(leaf)
        else array
        for array, leaf in zip(arrays.values(), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, filled)


def checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """Returns the CRC-32 of the bytes of arrays, in their order."""
    crc = 0
    for array in arrays.values():
        crc = zlib.crc32(
            np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc
        )
    return crc


def _sums(folder: pathlib.Path) -> dict[str, int]:
    """Returns the CRC-32 of every file below a folder but the seal's, by path."""
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.stem != "seal"
    )
    return {
        path.relative_to(folder).as_posix(): zlib.crc32(path.read_bytes())
        for path in files
    }


def _is_intact(folder: pathlib.Path) -> bool:
    try:
        return json.loads((folder / SEAL).read_text(encoding="utf-8")) == _sums(folder)
    except (OSError, ValueError):
        return False


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _system_reason(error: OSError | ValueError) -> str | None:
    """Returns what the system said, or None where something else is wrong."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    code = re.search(r"os_error_code='(\d+)'", str(error))  # TensorStore's way
    return os.strerror(int(code[1])) if code else None


@contextlib.contextmanager
def _quiet(reported: int = logging.ERROR) -> Iterator[None]:
    """Keeps Orbax's reports of every step off standard error, below a level."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(reported)
    try:
        yield
    finally:
        logger.setLevel(level)
