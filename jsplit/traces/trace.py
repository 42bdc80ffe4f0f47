"""Traces: what a network said at every exit for every sample of one data set.

Here: building and checking traces. Not here: running a network (`recording`), reading
files (`loading`), writing them (`files`), temperatures (`calibration`), costs and
decisions (`environment`).
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.traces import arrays, files, scores
from jsplit.types import JsplitError

ARRAYS = (
    "confidence",
    "correct",
    "label",
    "prediction",
    "entropy",
    "remote_confidence",
    "remote_correct",
    "logits",
    "remote_logits",
    "sample",
)
"""Arrays of a trace, as a file has them."""
_LEAVES = ARRAYS[:-1]  # names of samples are no numbers, JAX does not see them


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Answers of a multi-exit network on one data set, checked and read-only.

    Policies are judged on this table alone, without the network. Build one with
    `from_logits`, `from_probabilities`, `from_arrays` or `load_trace`, which fill in
    what follows from the rest. Every construction, `dataclasses.replace` included,
    copies and checks all arrays; of traced ones only the shapes.

    A pytree whose leaves are the arrays: `jax.jit`, `jax.vmap` and `jax.tree.map` see
    through it, and what they return is a trace without metadata and names of samples,
    not yet checked.

    Attributes:
        confidence: [N, L] float32 or float64, in [0, 1]; the precision given is kept.
        correct: [N, L] bool; True = the answer of this exit equals the label.
        label: [N] int32, or None if unknown.
        prediction: [N, L] int32, or None if unknown.
        entropy: [N, L] in nats, >= 0, dtype of `confidence`, or None if unknown.
        remote_confidence: [N, L] dtype of `confidence`; confidence of the cloud's
            answer had the sample been shipped after exit i.
        remote_correct: [N, L] bool; True = that answer equals the label.
        meta: JSON-able metadata such as dataset, model, split, seed, versions, flops,
            bytes; `num_classes`, where present, bounds labels and predictions.
        logits: [N, L, C] dtype of `confidence`, or None if not kept; only `calibrate`
            reads them.
        remote_logits: [N, L, C] logits of the cloud's answers, or None; a trace whose
            link is lossless needs none.
        sample: [N] names of the samples, int64 or text, all different, or None if
            unknown. Traces of the same samples are joined by them.
    """

    confidence: np.ndarray
    correct: np.ndarray
    label: np.ndarray | None
    prediction: np.ndarray | None
    entropy: np.ndarray | None
    remote_confidence: np.ndarray
    remote_correct: np.ndarray
    meta: dict[str, Any]
    logits: np.ndarray | None = None
    remote_logits: np.ndarray | None = None
    sample: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.meta, dict):
            raise JsplitError(f"meta must be a dict, got {checks.shown(self.meta)}")
        meta = json.loads(files.dump(self.meta))
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
        logits = remote_logits = None
        if self.logits is not None:
            logits = _fitting_logits("logits", self.logits, confidence, num_classes)
            num_classes = logits.shape[-1]
            if prediction is not None and not checks.is_traced((prediction, logits)):
                if prediction.max() >= num_classes:
                    raise JsplitError(
                        f"prediction must be a class of logits, 0..{num_classes - 1}, "
                        f"got {prediction.max()}"
                    )
                named = np.take_along_axis(logits, prediction[:, :, None], axis=-1)
                differs = named[:, :, 0] != logits.max(axis=-1)
                arrays.refuse(
                    "prediction", prediction, differs, "a largest one of logits"
                )
        if self.remote_logits is not None:
            if logits is None:
                raise JsplitError("remote_logits need logits, got logits not given")
            remote_logits = _fitting_logits(
                "remote_logits", self.remote_logits, confidence, num_classes
            )
        sample = None
        if self.sample is not None:
            sample = arrays.names("sample", self.sample, confidence.shape[0])
        for name, value in (
            ("confidence", confidence),
            ("correct", correct),
            ("label", label),
            ("prediction", prediction),
            ("entropy", entropy),
            ("remote_confidence", remote_confidence),
            ("remote_correct", remote_correct),
            ("meta", meta),
            ("logits", logits),
            ("remote_logits", remote_logits),
            ("sample", sample),
        ):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_checked", True)

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """Returns the arrays of numbers, the leaves of the pytree."""
        return tuple(getattr(self, name) for name in _LEAVES), None

    @classmethod
    def tree_unflatten(cls, aux: None, leaves: Iterable[Any]) -> "Trace":
        """Returns a trace made of these leaves, whatever they are."""
        del aux
        trace = object.__new__(cls)
        for name, leaf in zip(_LEAVES, leaves, strict=True):
            object.__setattr__(trace, name, leaf)
        object.__setattr__(trace, "sample", None)
        object.__setattr__(trace, "meta", {})
        return trace

    def checked(self) -> "Trace":
        """Returns the trace, checked if a transformation of JAX made it.

        Raises:
            JsplitError: if it is traced, or an array is out of shape or range.
        """
        if checks.is_traced(self):
            raise JsplitError(f"trace {checks.NOT_TRACED}")
        return self if getattr(self, "_checked", False) else dataclasses.replace(self)

    @classmethod
    def from_logits(
        cls,
        logits: ArrayLike,
        labels: ArrayLike,
        *,
        remote_logits: ArrayLike | None = None,
        keep_logits: bool = False,
        sample: ArrayLike | None = None,
        **meta: Any,
    ) -> "Trace":
        """Builds a trace from the logits of every exit.

        Of the softmax at an exit, confidence is the largest probability, entropy its
        entropy in nats, prediction its argmax (the lowest class on ties). All are in
        the precision of the logits: float64 stays float64, anything else is float32.

        Args:
            logits: [N, L, C], or a list of L arrays [N, C], with N >= 1, L >= 2 and
                C >= 2; finite, or -inf for classes that an exit rules out.
            labels: [N] classes 0..C-1; drop unlabelled samples (-1) first.
            remote_logits: [N, L, C] logits of the cloud had the sample been shipped
                after exit i. None: the logits of exit L, as if shipping is lossless.
            keep_logits: True = the trace keeps both, which `calibrate` needs.
            sample: [N] names of the samples, see `Trace`.
            **meta: JSON-able metadata to keep with the trace; `num_classes` is added.

        Returns:
            A trace with label, prediction and entropy.

        Raises:
            JsplitError: if an argument is out of shape or range, or logits are
                probabilities, of which a second softmax would make nonsense.

        Example:
            >>> import numpy as np
            >>> from jsplit.traces.trace import Trace
            >>> logits = np.log([[[0.5, 0.5], [0.2, 0.8]], [[0.9, 0.1], [0.7, 0.3]]])
            >>> trace = Trace.from_logits(logits, [1, 0], dataset="toy")
            >>> trace
            Trace(toy, N=2, L=2, accuracy 0.500 to 1.000)
            >>> trace.confidence.round(2)
            array([[0.5, 0.8],
                   [0.9, 0.7]])
        """
        return cls._from_scores(
            "logits",
            scores.of_logits,
            logits,
            labels,
            remote_logits,
            lambda given: given if keep_logits else None,
            {"sample": sample, **meta},
        )

    @classmethod
    def from_probabilities(
        cls,
        probabilities: ArrayLike,
        labels: ArrayLike,
        *,
        remote_probabilities: ArrayLike | None = None,
        keep_logits: bool = False,
        sample: ArrayLike | None = None,
        **meta: Any,
    ) -> "Trace":
        """Builds a trace from the probabilities of every exit, its softmax.

        Confidence is the largest probability, entropy = -sum p log p in nats,
        prediction the argmax (the lowest class on ties). Precision is as in
        `from_logits`.

        Args:
            probabilities: [N, L, C], or a list of L arrays [N, C], in [0, 1]; each sum
                over classes is 1 up to rounding in half precision.
            labels: [N] classes 0..C-1; drop unlabelled samples (-1) first.
            remote_probabilities: [N, L, C] those of the cloud had the sample been
                shipped after exit i. None: those of exit L.
            keep_logits: True = the trace keeps their logarithms, which `calibrate`
                needs.
            sample: [N] names of the samples, see `Trace`.
            **meta: JSON-able metadata to keep with the trace; `num_classes` is added.

        Returns:
            A trace with label, prediction and entropy.

        Raises:
            JsplitError: if an argument is out of shape or range.

        Example:
            >>> from jsplit.traces.trace import Trace
            >>> trace = Trace.from_probabilities([[[0.5, 0.5], [0.2, 0.8]]], [1])
            >>> trace.confidence, trace.prediction
            (array([[0.5, 0.8]]), array([[0, 1]], dtype=int32))
        """
        return cls._from_scores(
            "probabilities",
            scores.of_probabilities,
            probabilities,
            labels,
            remote_probabilities,
            lambda given: scores.logarithms(given) if keep_logits else None,
            {"sample": sample, **meta},
        )

    @classmethod
    def _from_scores(
        cls,
        name: str,
        summary: scores.Summary,
        given: Any,
        labels: Any,
        remote: Any,
        kept: Callable[[Any], Any],
        rest: dict[str, Any],
    ) -> "Trace":
        """Builds a trace from numbers [N, L, C], called `name`, and those of the cloud.

        `kept` returns the logits to keep of them, `rest` is for `from_arrays`.
        """
        given = scores.by_sample(name, given, labels)
        num_samples, _, num_classes = given.shape
        label = arrays.classes("labels", labels, (num_samples,), num_classes)
        confidence, entropy, prediction = summary(name, given)
        remote_confidence = remote_prediction = None
        if remote is not None:
            remote = scores.by_sample(f"remote_{name}", remote, labels, given.shape)
            remote_confidence, _, remote_prediction = summary(f"remote_{name}", remote)
        return cls.from_arrays(
            confidence,
            prediction,
            label,
            entropy=entropy,
            remote_confidence=remote_confidence,
            remote_prediction=remote_prediction,
            logits=kept(given),
            remote_logits=None if remote is None else kept(remote),
            **{**rest, "num_classes": num_classes},
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
        logits: ArrayLike | None = None,
        remote_logits: ArrayLike | None = None,
        sample: ArrayLike | None = None,
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
                the sample been shipped after exit i. None: the confidence of exit L.
            remote_correct: [N, L] bool or 0/1, together with `remote_confidence`.
            remote_prediction: [N, L] classes >= 0, instead of `remote_correct`.
            logits: [N, L, C] logits to keep with the trace, for `calibrate`, largest at
                `prediction`.
            remote_logits: [N, L, C] logits of the cloud's answers, to keep as well.
            sample: [N] names of the samples, see `Trace`.
            **meta: JSON-able metadata to keep with the trace, such as dataset="imdb".
                `num_classes` also bounds labels and predictions.

        Returns:
            The checked trace.

        Raises:
            JsplitError: if an argument is missing, contradictory, or out of shape or
                range.

        Example:
            >>> from jsplit.traces.trace import Trace
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
            arrays.refuse_shifted(prediction, label)
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
            last = arrays.booleans("correct", correct, checked.shape)[:, -1:]
            xp = jnp if checks.is_traced((checked, last)) else np
            remote_confidence = xp.broadcast_to(checked[:, -1:], checked.shape)
            remote_correct = xp.broadcast_to(last, checked.shape)
        # __post_init__ turns what is array-like here into arrays.
        fields: dict[str, Any] = {
            "confidence": checked,
            "correct": correct,
            "label": label,
            "prediction": prediction,
            "entropy": entropy,
            "remote_confidence": remote_confidence,
            "remote_correct": remote_correct,
            "logits": logits,
            "remote_logits": remote_logits,
            "sample": sample,
        }
        return cls(**fields, meta=meta)

    @property
    def lossless(self) -> Any:
        """True = shipping changes nothing, the cloud always answers as exit L."""
        pairs = (
            (self.remote_confidence, self.confidence),
            (self.remote_correct, self.correct),
        )
        if checks.is_traced(pairs):
            return jnp.stack([(a == b[:, -1:]).all() for a, b in pairs]).all()
        return all(
            np.array_equal(a, np.broadcast_to(b[:, -1:], a.shape)) for a, b in pairs
        )

    @property
    def num_samples(self) -> int:
        """Number of samples N."""
        return self.confidence.shape[0]

    @property
    def num_exits(self) -> int:
        """Number of exits L."""
        return self.confidence.shape[1]

    @property
    def num_classes(self) -> int | None:
        """Number of classes C in `meta`, None if unknown; not guessed from labels."""
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
            f"{self._arrays_sha256}\n{files.dump(self.meta)}".encode()
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
        values = {name: getattr(self, name) for name in ARRAYS}
        return {name: array for name, array in values.items() if array is not None}

    def __repr__(self) -> str:
        name = f"{self.meta['dataset']}, " if "dataset" in self.meta else ""
        first, last = self.accuracy[[0, -1]]
        return (
            f"Trace({name}N={self.num_samples}, L={self.num_exits}, "
            f"accuracy {first:.3f} to {last:.3f})"
        )

    def save(self, path: str | os.PathLike[str], *, compress: bool = False) -> None:
        """Writes the trace to one .npz file, whole or not at all.

        Plain NumPy reads it: one entry per array, and `header`, the bytes of a JSON
        object with format, version, sha256 and meta. The file gets a temporary name in
        the same folder first, so that a failure leaves an older file as it was.

        Args:
            path: where to write; must end in .npz.
            compress: True = a smaller file, which takes longer to write and reads back
                bit for bit the same.

        Raises:
            JsplitError: if `path` has another ending, or the system refuses to write.

        Example:
            >>> import pathlib, tempfile
            >>> from jsplit.traces.loading import load_trace
            >>> from jsplit.traces.trace import Trace
            >>> trace = Trace.from_arrays([[0.6, 0.9]], correct=[[0, 1]], split="test")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     trace.save(pathlib.Path(folder, "toy.npz"))
            ...     load_trace(pathlib.Path(folder, "toy.npz")).meta
            {'split': 'test'}
        """
        entries = self._arrays()
        header = {"sha256": self.sha256, "meta": self.meta}
        files.write(path, header, entries, compress=compress)


def check_trace(name: str, value: Any) -> None:
    """Raises unless `value`, which messages call `name`, is a trace."""
    if not isinstance(value, Trace):
        raise JsplitError(
            f"{name} must be a jsplit.Trace, got {type(value).__name__}; build one "
            "with Trace.from_logits or load_trace"
        )


def _fitting_logits(
    name: str, value: Any, confidence: np.ndarray, num_classes: int | None
) -> np.ndarray:
    """Returns a fresh [N, L, C] array in the shape and dtype of `confidence`."""
    logits = arrays.logits(name, value, dtype=confidence.dtype).copy()
    wanted = (*confidence.shape, num_classes or logits.shape[-1])
    if logits.shape != wanted:
        raise JsplitError(f"{name} must have shape {wanted}, got {logits.shape}")
    return logits


def _given(value: Any) -> str:
    return "not given" if value is None else "given"


def _equal(
    name: str, prediction: Any, label: Any, shape: tuple[int, ...]
) -> np.ndarray:
    classes = arrays.classes(name, prediction, shape)
    return classes == arrays.classes("label", label, shape[:1])[:, None]
