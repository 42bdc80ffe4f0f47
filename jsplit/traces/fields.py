"""The arrays of a trace: which there are, what follows from them, and their checks.

Here: shapes, types and ranges of all of them together, and filling in what was not
given. Not here: checks of single arrays (`arrays`), the container (`trace`).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jsplit import checks
from jsplit.traces import arrays
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
    "cost",
    "seconds",
)
"""Arrays of a trace, as a file has them."""
LEAVES = ARRAYS[:9]
"""Those that JAX sees: not names of samples, nor what was measured beside answers."""
MEASURED = ("cost", "seconds")
"""What a sample took up to each exit."""


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arrays of a trace from what was recorded, see `Trace.from_arrays`.

    Args:
        given: arguments of `Trace.from_arrays`, None where there is none.

    Raises:
        JsplitError: if one is missing, contradictory, or out of shape or range.
    """
    found = dict(given)
    remote_prediction = found.pop("remote_prediction")
    prediction, label = found["prediction"], found["label"]
    if found["confidence"] is not None:
        found["confidence"] = arrays.confidences("confidence", found["confidence"])
    shape = _shape(found)
    if found["correct"] is None:
        if prediction is None or label is None:
            raise JsplitError(
                "a trace needs correct, or prediction and label, got "
                f"prediction {_told(prediction)}, label {_told(label)}, "
                "correct not given"
            )
        arrays.check_exits("prediction", shape)
        found["correct"] = _equal("prediction", prediction, label, shape)
        arrays.refuse_shifted(prediction, label)
    arrays.check_exits("correct", shape)
    _check_remote(found, remote_prediction)
    if remote_prediction is not None:
        if label is None:
            raise JsplitError("remote_prediction needs label, got label not given")
        found["remote_correct"] = _equal(
            "remote_prediction", remote_prediction, label, shape
        )
    if found["remote_correct"] is None:
        found["correct"] = arrays.booleans("correct", found["correct"], shape)
        for name in ("confidence", "correct"):
            found[f"remote_{name}"] = _last_everywhere(found[name])
    return found


def check(given: Mapping[str, Any], num_classes: int | None) -> dict[str, Any]:
    """Returns fresh arrays by name, all checked; of traced ones only the shapes.

    Args:
        given: by `ARRAYS`, None where there is none.
        num_classes: that bounds labels and predictions, None = not known.

    Raises:
        JsplitError: if one is out of shape or range, or two contradict each other.
    """
    found: dict[str, Any] = dict.fromkeys(ARRAYS)
    confidence, correct = given["confidence"], given["correct"]
    if confidence is not None:
        found["confidence"] = arrays.confidences("confidence", confidence)
    shape = _shape({**found, "correct": correct})
    arrays.check_exits("correct", shape)
    dtype = None if confidence is None else found["confidence"].dtype
    found["correct"] = arrays.booleans("correct", correct, shape)
    for name, sizes in (("label", shape[:1]), ("prediction", shape)):
        if given[name] is not None:
            found[name] = arrays.classes(name, given[name], sizes, num_classes)
    if given["entropy"] is not None:
        entropy = arrays.floats("entropy", given["entropy"], shape, dtype).copy()
        arrays.refuse("entropy", entropy, entropy < 0, ">= 0 (nats)")
        found["entropy"] = entropy
    label, prediction = found["label"], found["prediction"]
    if label is not None and prediction is not None:
        differs = found["correct"] != (prediction == label[:, None])
        rule = "equal to prediction == label"
        arrays.refuse("correct", found["correct"], differs, rule)
    remote = given["remote_confidence"]
    if (remote is None) != (confidence is None):
        raise JsplitError(
            "confidence and remote_confidence go together, got confidence "
            f"{_told(confidence)}, remote_confidence {_told(remote)}"
        )
    if remote is not None:
        found["remote_confidence"] = arrays.confidences(
            "remote_confidence", remote, shape, dtype
        )
    found["remote_correct"] = arrays.booleans(
        "remote_correct", given["remote_correct"], shape
    )
    _check_logits(found, given, num_classes)
    if given["sample"] is not None:
        found["sample"] = arrays.names("sample", given["sample"], shape[0])
    for name in MEASURED:
        if given[name] is not None:
            found[name] = arrays.growing(name, given[name], shape)
    return found


def _shape(found: Mapping[str, Any]) -> tuple[int, ...]:
    """Returns the shape of the first array that says what exits answer."""
    for name in ("confidence", "correct", "prediction"):
        if found[name] is not None:
            return arrays.numbers(name, found[name], None).shape
    return ()


def _check_remote(found: Mapping[str, Any], remote_prediction: Any) -> None:
    correct, confidence = found["remote_correct"], found["remote_confidence"]
    answers = (correct is not None) + (remote_prediction is not None)
    wanted = (confidence is not None,)
    if found["confidence"] is None and confidence is None:
        wanted = (0, 1)
    if answers not in wanted:
        raise JsplitError(
            "remote_confidence and one of remote_correct, remote_prediction go "
            f"together, got remote_confidence {_told(confidence)}, "
            f"remote_correct {_told(correct)}, "
            f"remote_prediction {_told(remote_prediction)}"
        )


def _check_logits(
    found: dict[str, Any], given: Mapping[str, Any], num_classes: int | None
) -> None:
    """Puts logits in, which fit confidences and predictions."""
    logits: Any = given["logits"]
    confidence = found["confidence"]
    if logits is None:
        if given["remote_logits"] is not None:
            raise JsplitError("remote_logits need logits, got logits not given")
        return
    if confidence is None:
        raise JsplitError("logits need confidence, got confidence not given")
    logits = _fitting_logits("logits", logits, confidence, num_classes)
    found["logits"] = logits
    size, prediction = logits.shape[-1], found["prediction"]
    if prediction is not None and not checks.is_traced((prediction, logits)):
        if prediction.max() >= size:
            raise JsplitError(
                f"prediction must be a class of logits, 0..{size - 1}, "
                f"got {prediction.max()}"
            )
        named = np.take_along_axis(logits, prediction[:, :, None], axis=-1)
        differs = named[:, :, 0] != logits.max(axis=-1)
        arrays.refuse("prediction", prediction, differs, "a largest one of logits")
    if given["remote_logits"] is not None:
        found["remote_logits"] = _fitting_logits(
            "remote_logits", given["remote_logits"], confidence, size
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


def _last_everywhere(values: Any) -> Any:
    """Returns the column of the last exit in place of all, as a lossless link does."""
    if values is None:
        return None
    xp = jnp if checks.is_traced(values) else np
    return xp.broadcast_to(values[:, -1:], values.shape)


def _told(value: Any) -> str:
    return "not given" if value is None else "given"


def _equal(
    name: str, prediction: Any, label: Any, shape: tuple[int, ...]
) -> np.ndarray:
    classes = arrays.classes(name, prediction, shape)
    return classes == arrays.classes("label", label, shape[:1])[:, None]
