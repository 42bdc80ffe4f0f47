"""Traces: what a network said at every exit for every sample of one data set.

Here: the container and how it is built. Not here: checks of its arrays (`fields`),
running a network (`recording`), reading files (`loading`), writing them (`files`),
temperatures (`calibration`), costs and decisions (`environment`).
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
from jsplit.traces import arrays, fields, files, scores
from jsplit.types import JsplitError


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Answers of a multi-exit network on one data set, checked and read-only.

    Policies are judged on this table alone, without the network. Build one with
    `from_logits`, `from_probabilities`, `from_arrays` or `load_trace`, which fill in
    what follows from the rest. Every construction, `dataclasses.replace` included,
    copies and checks all arrays; of traced ones only the shapes.

    A pytree whose leaves are the arrays: `jax.jit`, `jax.vmap` and `jax.tree.map` see
    through it, and what they return is a trace without metadata, names of samples and
    measurements, not yet checked.

    Attributes:
        confidence: [N, L] float32 or float64, in [0, 1]; the precision given is kept.
            None if unknown: rewards are then by the truth, and policies that need
            confidences refuse.
        correct: [N, L] bool; True = the answer of this exit equals the label.
        label: [N] int32, or None if unknown.
        prediction: [N, L] int32, or None if unknown.
        entropy: [N, L] in nats, >= 0, dtype of `confidence`, or None if unknown.
        remote_confidence: [N, L] dtype of `confidence`; confidence of the cloud's
            answer had the sample been shipped after exit i. None with `confidence`.
        remote_correct: [N, L] bool; True = that answer equals the label.
        meta: JSON-able metadata such as dataset, model, split, seed, versions, flops,
            bytes; `num_classes`, where present, bounds labels and predictions.
        logits: [N, L, C] dtype of `confidence`, or None if not kept; only `calibrate`
            reads them.
        remote_logits: [N, L, C] logits of the cloud's answers, or None; a trace whose
            link is lossless needs none.
        sample: [N] names of the samples, int64 or text, all different, or None if
            unknown. Traces of the same samples are joined by them.
        cost: [N, L] float64, >= 0; what each sample cost up to exit i, in the unit of
            `Costs`, or None if not measured. Never less than at the exit before.
        seconds: [N, L] float64, >= 0; how long each sample took up to exit i, likewise.
    """

    confidence: np.ndarray | None
    correct: np.ndarray
    label: np.ndarray | None
    prediction: np.ndarray | None
    entropy: np.ndarray | None
    remote_confidence: np.ndarray | None
    remote_correct: np.ndarray
    meta: dict[str, Any]
    logits: np.ndarray | None = None
    remote_logits: np.ndarray | None = None
    sample: np.ndarray | None = None
    cost: np.ndarray | None = None
    seconds: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.meta, dict):
            raise JsplitError(f"meta must be a dict, got {checks.shown(self.meta)}")
        meta = json.loads(files.dump(self.meta))
        num_classes = meta.get("num_classes")
        if "num_classes" in meta:
            num_classes = checks.integer("num_classes", num_classes, 2)
        given = {name: getattr(self, name) for name in fields.ARRAYS}
        found = {**fields.check(given, num_classes), "meta": meta}
        for name, value in found.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_checked", True)

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """Returns the arrays of numbers, the leaves of the pytree."""
        return tuple(getattr(self, name) for name in fields.LEAVES), None

    @classmethod
    def tree_unflatten(cls, aux: None, leaves: Iterable[Any]) -> "Trace":
        """Returns a trace made of these leaves, whatever they are."""
        del aux
        trace = object.__new__(cls)
        for name, leaf in zip(fields.LEAVES, leaves, strict=True):
            object.__setattr__(trace, name, leaf)
        for name in set(fields.ARRAYS) - set(fields.LEAVES):
            object.__setattr__(trace, name, None)
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
        cost: ArrayLike | None = None,
        seconds: ArrayLike | None = None,
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
            cost: [N, L] what each sample cost up to exit i, see `Trace`.
            seconds: [N, L] how long each took up to exit i.
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
            {"sample": sample, "cost": cost, "seconds": seconds, **meta},
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
        cost: ArrayLike | None = None,
        seconds: ArrayLike | None = None,
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
            cost: [N, L] what each sample cost up to exit i, see `Trace`.
            seconds: [N, L] how long each took up to exit i.
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
            {"sample": sample, "cost": cost, "seconds": seconds, **meta},
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
        confidence: ArrayLike | None = None,
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
        cost: ArrayLike | None = None,
        seconds: ArrayLike | None = None,
        **meta: Any,
    ) -> "Trace":
        """Builds a trace from what was recorded at every exit.

        Needs either `correct`, or `prediction` and `label`; given all three, they
        must agree.

        Args:
            confidence: [N, L] in [0, 1], with N >= 1 and L >= 2. Values outside by
                at most 1e-6 are rounding errors and are clipped. None if unknown, see
                `Trace`.
            prediction: [N, L] classes >= 0.
            label: [N] classes >= 0; drop unlabelled samples (-1) first.
            correct: [N, L] bool or 0/1.
            entropy: [N, L] in nats, >= 0.
            remote_confidence: [N, L] in [0, 1]; confidence of the cloud's answer had
                the sample been shipped after exit i. None: the confidence of exit L.
            remote_correct: [N, L] bool or 0/1, together with `remote_confidence`, or
                alone where there are no confidences.
            remote_prediction: [N, L] classes >= 0, instead of `remote_correct`.
            logits: [N, L, C] logits to keep with the trace, for `calibrate`, largest at
                `prediction`.
            remote_logits: [N, L, C] logits of the cloud's answers, to keep as well.
            sample: [N] names of the samples, see `Trace`.
            cost: [N, L] what each sample cost up to exit i, see `Trace`.
            seconds: [N, L] how long each took up to exit i.
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
        found = fields.complete(
            {
                "confidence": confidence,
                "correct": correct,
                "label": label,
                "prediction": prediction,
                "entropy": entropy,
                "remote_confidence": remote_confidence,
                "remote_correct": remote_correct,
                "remote_prediction": remote_prediction,
                "logits": logits,
                "remote_logits": remote_logits,
                "sample": sample,
                "cost": cost,
                "seconds": seconds,
            }
        )
        return cls(**found, meta=meta)

    @property
    def lossless(self) -> Any:
        """True = shipping changes nothing, the cloud always answers as exit L."""
        pairs: list[tuple[Any, Any]] = [(self.remote_correct, self.correct)]
        if self.confidence is not None:
            pairs.append((self.remote_confidence, self.confidence))
        if checks.is_traced(pairs):
            return jnp.stack([(a == b[:, -1:]).all() for a, b in pairs]).all()
        return all(
            np.array_equal(a, np.broadcast_to(b[:, -1:], a.shape)) for a, b in pairs
        )

    @property
    def num_samples(self) -> int:
        """Number of samples N."""
        return self.correct.shape[0]

    @property
    def num_exits(self) -> int:
        """Number of exits L."""
        return self.correct.shape[1]

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
        values = {name: getattr(self, name) for name in fields.ARRAYS}
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


def confidences_of(name: str, trace: Trace) -> np.ndarray:
    """Returns the confidences of a trace, which messages call `name`.

    Raises:
        JsplitError: if it has none.
    """
    if trace.confidence is None:
        raise JsplitError(
            f"{name} must have confidences, got a trace of predictions alone"
        )
    return trace.confidence
