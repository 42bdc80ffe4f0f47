"""Traces: what a network said at every exit for every sample of one data set.

Here: building, checking, saving and loading them. Not here: running a network
(`recording`), reading CSV and Parquet tables (`tables`), costs and decisions.
Called by users, by `recording` and by `cli`; `outcomes` turns a trace into tables.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import secrets
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jsplit import arrays, checks
from jsplit.types import JsplitError

FORMAT = "jsplit-trace"
FORMAT_VERSION = 1

_ARRAYS = (
    "confidence",
    "correct",
    "label",
    "prediction",
    "entropy",
    "remote_confidence",
    "remote_correct",
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Answers of a multi-exit network on one data set, checked and read-only.

    Policies are judged on this table alone; the network itself is not needed any
    more. Build one with `from_logits`, `from_arrays` or `load_trace`: they fill in
    what follows from the rest. Every construction, `dataclasses.replace` included,
    copies and checks all arrays.

    Attributes:
        confidence: [N, L] float32 or float64, in [0, 1]; the precision given is kept.
        correct: [N, L] bool; True = the answer of this exit equals the label.
        label: [N] int32, or None if unknown.
        prediction: [N, L] int32, or None if unknown.
        entropy: [N, L] in nats, >= 0, dtype of `confidence`, or None if unknown.
        remote_confidence: [N, L] dtype of `confidence`; confidence of the cloud's
            answer had the sample been shipped after exit i.
        remote_correct: [N, L] bool; True = that answer equals the label.
        meta: JSON-able facts such as dataset, model, split, seed, versions, flops,
            bytes; `num_classes`, where present, bounds labels and predictions.
        lossless: True = shipping changes nothing, the cloud always gives exit L's
            answer; computed.
    """

    confidence: np.ndarray
    correct: np.ndarray
    label: np.ndarray | None
    prediction: np.ndarray | None
    entropy: np.ndarray | None
    remote_confidence: np.ndarray
    remote_correct: np.ndarray
    meta: dict[str, Any]
    lossless: bool = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.meta, dict):
            raise JsplitError(f"meta must be a dict, got {checks.shown(self.meta)}")
        meta = json.loads(_dump(self.meta))
        num_classes = meta.get("num_classes")
        if "num_classes" in meta:
            num_classes = checks.integer("num_classes", num_classes, 2)
        confidence = arrays.confidences("confidence", self.confidence)
        shape, dtype = confidence.shape, confidence.dtype
        correct = arrays.booleans("correct", self.correct, shape)
        label = prediction = entropy = None
        if self.label is not None:
            label = arrays.classes("label", self.label, shape[:1], num_classes)
        if self.prediction is not None:
            prediction = arrays.classes(
                "prediction", self.prediction, shape, num_classes
            )
        if self.entropy is not None:
            entropy = arrays.floats("entropy", self.entropy, shape, dtype).copy()
            arrays.refuse("entropy", entropy, entropy < 0, ">= 0 (nats)")
        if label is not None and prediction is not None:
            differs = correct != (prediction == label[:, None])
            arrays.refuse("correct", correct, differs, "equal to prediction == label")
        remote_confidence = arrays.confidences(
            "remote_confidence", self.remote_confidence, shape, dtype
        )
        remote_correct = arrays.booleans("remote_correct", self.remote_correct, shape)
        lossless = bool(
            (remote_confidence == confidence[:, -1:]).all()
            and (remote_correct == correct[:, -1:]).all()
        )
        for name, value in (
            ("confidence", confidence),
            ("correct", correct),
            ("label", label),
            ("prediction", prediction),
            ("entropy", entropy),
            ("remote_confidence", remote_confidence),
            ("remote_correct", remote_correct),
            ("meta", meta),
            ("lossless", lossless),
        ):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def from_logits(
        cls,
        logits: ArrayLike,
        labels: ArrayLike,
        *,
        remote_logits: ArrayLike | None = None,
        **meta: Any,
    ) -> "Trace":
        """Builds a trace from the logits of every exit.

        Confidence is the largest softmax probability, entropy that of the softmax,
        prediction its argmax (the lowest class on ties), all in the precision of the
        logits (float64 stays float64, anything else is float32).

        Args:
            logits: [N, L, C] finite, with N >= 1, L >= 2 and C >= 2.
            labels: [N] classes 0..C-1; drop unlabelled samples (-1) first.
            remote_logits: [N, L, C] what the cloud says had the sample been shipped
                after exit i. Default: shipping is lossless, exit L's logits.
            **meta: JSON-able facts to keep with the trace. Set here: `num_classes`.

        Returns:
            A trace with label, prediction and entropy.

        Raises:
            JsplitError: An argument is out of shape or range.

        Example:
            >>> import numpy as np
            >>> from jsplit.trace import Trace
            >>> logits = np.log([[[0.5, 0.5], [0.2, 0.8]], [[0.9, 0.1], [0.7, 0.3]]])
            >>> trace = Trace.from_logits(logits, [1, 0], dataset="toy")
            >>> trace
            Trace(toy, N=2, L=2, accuracy 0.500 to 1.000)
            >>> trace.confidence.round(2)
            array([[0.5, 0.8],
                   [0.9, 0.7]])
        """
        logits = arrays.logits("logits", logits)
        num_samples, _, num_classes = logits.shape
        label = arrays.classes("labels", labels, (num_samples,), num_classes)
        confidence, entropy, prediction = _softmax_summary(logits)
        remote_confidence = remote_prediction = None
        if remote_logits is not None:
            remote_logits = arrays.logits("remote_logits", remote_logits, logits.shape)
            remote_confidence, _, remote_prediction = _softmax_summary(remote_logits)
        return cls.from_arrays(
            confidence,
            prediction,
            label,
            entropy=entropy,
            remote_confidence=remote_confidence,
            remote_prediction=remote_prediction,
            **{**meta, "num_classes": num_classes},
        )

    @classmethod
    def from_arrays(
        cls,
        confidence: ArrayLike,
        prediction: ArrayLike | None = None,
        label: ArrayLike | None = None,
        *,
        correct: ArrayLike | None = None,
        entropy: ArrayLike | None = None,
        remote_confidence: ArrayLike | None = None,
        remote_correct: ArrayLike | None = None,
        remote_prediction: ArrayLike | None = None,
        **meta: Any,
    ) -> "Trace":
        """Builds a trace from what was recorded at every exit.

        Needs either `correct`, or `prediction` and `label`; given all three, they
        must agree.

        Args:
            confidence: [N, L] in [0, 1], with N >= 1 and L >= 2. Values outside by
                at most 1e-6 are rounding errors and are clipped.
            prediction: [N, L] classes >= 0.
            label: [N] classes >= 0; drop unlabelled samples (-1) first.
            correct: [N, L] bool or 0/1.
            entropy: [N, L] in nats, >= 0.
            remote_confidence: [N, L] in [0, 1]; confidence of the cloud's answer had
                the sample been shipped after exit i. Default: exit L's.
            remote_correct: [N, L] bool or 0/1, together with `remote_confidence`.
            remote_prediction: [N, L] classes, instead of `remote_correct`.
            **meta: JSON-able facts to keep with the trace, such as dataset="imdb".
                `num_classes` also bounds labels and predictions.

        Returns:
            The checked trace.

        Raises:
            JsplitError: An argument is missing, contradictory, out of shape or range.

        Example:
            >>> from jsplit.trace import Trace
            >>> trace = Trace.from_arrays([[0.6, 0.9]], [[0, 1]], [1])
            >>> trace.correct, trace.lossless
            (array([[False,  True]]), True)
        """
        checked = arrays.confidences("confidence", confidence)
        if correct is None:
            if prediction is None or label is None:
                raise JsplitError(
                    "a trace needs correct, or prediction and label, got "
                    f"prediction {_given(prediction)}, label {_given(label)}, "
                    "correct not given"
                )
            correct = _equal("prediction", prediction, label, checked.shape)
        num_answers = (remote_correct is not None) + (remote_prediction is not None)
        if num_answers != (remote_confidence is not None):
            raise JsplitError(
                "remote_confidence and one of remote_correct, remote_prediction go "
                f"together, got remote_confidence {_given(remote_confidence)}, "
                f"remote_correct {_given(remote_correct)}, "
                f"remote_prediction {_given(remote_prediction)}"
            )
        if remote_prediction is not None:
            if label is None:
                raise JsplitError("remote_prediction needs label, got label not given")
            remote_correct = _equal(
                "remote_prediction", remote_prediction, label, checked.shape
            )
        if remote_confidence is None:
            remote_confidence = np.broadcast_to(checked[:, -1:], checked.shape)
            last = arrays.booleans("correct", correct, checked.shape)[:, -1:]
            remote_correct = np.broadcast_to(last, checked.shape)
        # __post_init__ turns what is array-like here into arrays.
        fields: dict[str, Any] = {
            "confidence": checked,
            "correct": correct,
            "label": label,
            "prediction": prediction,
            "entropy": entropy,
            "remote_confidence": remote_confidence,
            "remote_correct": remote_correct,
        }
        return cls(**fields, meta=meta)

    @property
    def num_samples(self) -> int:
        """N."""
        return self.confidence.shape[0]

    @property
    def num_exits(self) -> int:
        """L."""
        return self.confidence.shape[1]

    @property
    def num_classes(self) -> int | None:
        """C as stated in `meta`, None if unknown; never guessed from the labels."""
        return self.meta.get("num_classes")

    @property
    def accuracy(self) -> np.ndarray:
        """[L] float64: share of samples each exit answers correctly."""
        return self.correct.mean(axis=0)

    @property
    def sha256(self) -> str:
        """Hex digest over all arrays (name, dtype, shape, bytes) and the metadata."""
        # `meta` is a dict that its owner may still extend, so only the arrays' part,
        # the slow one, is kept.
        return hashlib.sha256(
            f"{self._arrays_sha256}\n{_dump(self.meta)}".encode()
        ).hexdigest()

    @functools.cached_property
    def _arrays_sha256(self) -> str:
        digest = hashlib.sha256()
        for name, array in self._arrays().items():
            portable = array.astype(array.dtype.newbyteorder("<"), copy=False)
            digest.update(f"{name} {portable.dtype.str} {portable.shape}\n".encode())
            digest.update(portable.data)
        return digest.hexdigest()

    def _arrays(self) -> dict[str, np.ndarray]:
        values = {name: getattr(self, name) for name in _ARRAYS}
        return {name: array for name, array in values.items() if array is not None}

    def __repr__(self) -> str:
        name = f"{self.meta['dataset']}, " if "dataset" in self.meta else ""
        first, last = self.accuracy[[0, -1]]
        return (
            f"Trace({name}N={self.num_samples}, L={self.num_exits}, "
            f"accuracy {first:.3f} to {last:.3f})"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace to one .npz file, whole or not at all.

        Plain NumPy reads it: one entry per array, and `header`, the bytes of a JSON
        object with format, version, sha256 and meta. The file is written under a
        temporary name in the same folder and then renamed, so that a failure leaves
        an older file as it was.

        Args:
            path: Where to write; must end in .npz.

        Raises:
            JsplitError: `path` has another ending, or the system refuses to write.

        Example:
            >>> import pathlib, tempfile
            >>> from jsplit.trace import Trace, load_trace
            >>> trace = Trace.from_arrays([[0.6, 0.9]], correct=[[0, 1]], split="test")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     trace.save(pathlib.Path(folder, "toy.npz"))
            ...     load_trace(pathlib.Path(folder, "toy.npz")).meta
            {'split': 'test'}
        """
        target = pathlib.Path(path)
        if target.suffix != ".npz":
            raise JsplitError(f"a trace is saved as .npz, got path {str(target)!r}")
        header = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "sha256": self.sha256,
            "meta": self.meta,
        }
        entries = {"header": np.frombuffer(_dump(header).encode(), np.uint8)}
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "xb") as file:
                np.savez(file, allow_pickle=False, **entries, **self._arrays())
                file.flush()
                os.fsync(file.fileno())  # some disks report that they are full here
            os.replace(temporary, target)
        except OSError as error:
            reason = error.strerror or error
            raise JsplitError(
                f"cannot write the trace to {target}: {reason}"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def load_trace(path: str | os.PathLike[str]) -> Trace:
    """Reads a saved trace, or imports a table that someone else wrote.

    What is read depends on the ending: .csv and .parquet are tables in long or wide
    form (see `tables.read_table`), anything else is an .npz file. One without a
    jsplit header needs arrays called `logits` and `labels` (or `label`), or those
    of `Trace.from_arrays`. Nothing is ever unpickled. An imported trace carries the
    file's name without its ending as meta["dataset"].

    Args:
        path: The file.

    Returns:
        The trace, bit for bit as it was saved.

    Raises:
        JsplitError: The file is missing, truncated, damaged, foreign, written by a
            newer jsplit, or its contents make no valid trace.
        ImportError: A Parquet file, and pyarrow is not installed.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from jsplit.trace import load_trace
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "toy.npz")
        ...     np.savez(path, confidence=[[0.6, 0.9]], correct=[[0, 1]])
        ...     load_trace(path)
        Trace(toy, N=1, L=2, accuracy 0.000 to 1.000)
    """
    path = pathlib.Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise JsplitError(f"path must be a trace file, but {str(path)!r} {what}")
    from jsplit import tables

    try:
        if path.suffix.lower() in (".csv", ".parquet"):
            return Trace.from_arrays(**tables.read_table(path), dataset=path.stem)
        entries = tables.read_npz(path)
        if "header" in entries:
            return _restore(entries)
        if "logits" in entries:
            return Trace.from_logits(**entries, dataset=path.stem)
        return Trace.from_arrays(**entries, dataset=path.stem)
    except JsplitError as error:
        raise JsplitError(f"{path}: {error}") from error


def _restore(entries: dict[str, np.ndarray]) -> Trace:
    """Returns the trace that `save` wrote, or says that it is damaged."""
    try:
        header = json.loads(entries["header"].tobytes())
        version, sha256, meta = header["version"], header["sha256"], header["meta"]
        known = header["format"] == FORMAT and type(version) is int and version >= 1
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JsplitError("the header is damaged or not that of a trace") from error
    if not known:
        raise JsplitError(f"the header must be that of a {FORMAT}, got another")
    if version > FORMAT_VERSION:
        raise JsplitError(
            f"this jsplit reads trace format {FORMAT_VERSION}, got {version}: written "
            "by a newer jsplit, upgrade with pip install --upgrade jsplit"
        )
    fields: dict[str, Any] = {name: entries.get(name) for name in _ARRAYS}
    try:
        trace = Trace(**fields, meta=meta)
    except JsplitError as error:
        raise JsplitError(f"the file is damaged ({error})") from error
    if trace.sha256 != sha256:
        raise JsplitError(
            f"the file is damaged: its sha256 must be {sha256}, got {trace.sha256}"
        )
    return trace


def _softmax_summary(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns confidence, entropy and prediction [N, L] of logits [N, L, C]."""
    with np.errstate(over="ignore", under="ignore"):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        # A difference beyond the largest float is -inf, and 0 * -inf is NaN.
        np.maximum(shifted, np.finfo(logits.dtype).min, out=shifted)
        weights = np.exp(shifted)
        # The largest weight is exp(0) = 1: the sum is at least 1, so that the
        # confidence cannot leave [0, 1] nor the entropy fall below 0.
        total = weights.sum(axis=-1)
        entropy = np.log(total) - (weights * shifted).sum(axis=-1) / total
        return 1 / total, entropy, logits.argmax(axis=-1)


def _dump(meta: dict[str, Any]) -> str:
    """Returns JSON that is the same for the same contents."""

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


def _given(value: Any) -> str:
    return "not given" if value is None else "given"


def _equal(
    name: str, prediction: Any, label: Any, shape: tuple[int, ...]
) -> np.ndarray:
    classes = arrays.classes(name, prediction, shape)
    return classes == arrays.classes("label", label, shape[:1])[:, None]
