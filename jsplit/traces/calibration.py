"""How well confidences match accuracy, and temperatures that calibrate them.

Here: calibration errors, and temperature scaling from trace to trace. Not here:
recording the logits that it needs (`recording`).
"""

import dataclasses
from typing import Any, Literal

import numpy as np

from jsplit import checks
from jsplit.traces import softmax
from jsplit.traces.joining import in_order_of
from jsplit.traces.trace import Trace, check_trace, confidences_of
from jsplit.types import JsplitError

NUM_BINS = 15
LOWEST, HIGHEST = 0.01, 100.0  # temperatures
LEAST = -1e30  # a logit that stands for -inf
MAX_STEPS = 100
TOLERANCE = 1e-9  # of the logarithm of a temperature


def expected_calibration_error(
    trace: Trace,
    *,
    num_bins: int = NUM_BINS,
    bins: Literal["equal_width", "equal_count"] = "equal_width",
) -> np.ndarray:
    """Returns the expected calibration error of every exit.

    ECE = sum_b (n_b / N) |accuracy_b - mean confidence_b| over bins b of confidence
    with n_b samples each.

    Args:
        trace: N samples, L exits.
        num_bins: number of bins, >= 1.
        bins: "equal_width" cuts [0, 1] into intervals ((b - 1) / num_bins, b /
            num_bins]; 0 belongs to the first. "equal_count" sorts the samples by
            confidence and cuts them into groups whose sizes differ by at most one.

    Returns:
        [L] float64 in [0, 1].

    Raises:
        JsplitError: if an argument is out of range.

    Example:
        >>> from jsplit.traces.calibration import expected_calibration_error
        >>> from jsplit.traces.trace import Trace
        >>> trace = Trace.from_arrays([[0.6, 0.9]] * 2, correct=[[0, 1], [1, 1]])
        >>> expected_calibration_error(trace).round(3)
        array([0.1, 0.1])
    """
    check_trace("trace", trace)
    return binned_error(
        confidences_of("trace", trace), trace.correct, num_bins=num_bins, bins=bins
    )


def binned_error(
    confidence: np.ndarray,
    correct: np.ndarray,
    *,
    num_bins: int = NUM_BINS,
    bins: str = "equal_width",
) -> np.ndarray:
    """Returns the [L] errors of `expected_calibration_error` for arrays [N, L]."""
    num_bins = checks.integer("num_bins", num_bins, 1)
    checks.choice("bins", bins, ("equal_width", "equal_count"))
    num_samples, num_exits = confidence.shape
    if bins == "equal_width":
        edges = np.linspace(0, 1, num_bins + 1)[1:-1].astype(confidence.dtype)
        places = np.searchsorted(edges, confidence, side="left")
    else:
        ranks = confidence.argsort(axis=0, kind="stable").argsort(axis=0)
        places = ranks * num_bins // num_samples
    # The gap of a bin times its share is |sum of (correct - confidence)| / N.
    gap = correct.astype(np.float64) - confidence
    places = places + num_bins * np.arange(num_exits)
    sums = np.bincount(places.ravel(), gap.ravel(), num_bins * num_exits)
    return np.abs(sums).reshape(num_exits, num_bins).sum(axis=1) / num_samples


def calibrate(trace: Trace, held_out: Trace) -> Trace:
    """Returns a trace whose confidences are scaled by temperatures, one per exit.

    The logits of exit i are divided by the temperature that `fit_temperatures` finds on
    the held-out samples. Confidence and entropy follow from them; predictions stay. The
    logits of the cloud are divided by the temperature of exit L.

    Args:
        trace: trace with logits (`record(..., keep_logits=True)`), and with
            `remote_logits` if its link is lossy.
        held_out: trace of the same network on other samples, with logits and labels.

    Returns:
        Trace with scaled logits and three entries in `meta`: "temperature", [L] numbers
        by which the recorded logits were divided; "calibration", the held-out samples;
        "expected_calibration_error", [L] errors of the new confidences.

    Raises:
        JsplitError: if a trace lacks what is needed, the two do not fit, or both hold
            the same samples.

    Example:
        >>> import numpy as np
        >>> from jsplit.traces.calibration import calibrate
        >>> from jsplit.traces.trace import Trace
        >>> rng = np.random.default_rng(0)
        >>> label = rng.integers(2, size=400)
        >>> logits = 5 * (rng.normal(size=(400, 2, 2)) + np.eye(2)[label][:, None])
        >>> test, held_out = (
        ...     Trace.from_logits(logits[half], label[half], keep_logits=True)
        ...     for half in (slice(200), slice(200, 400)))
        >>> (calibrate(test, held_out).confidence < test.confidence).all()
        np.True_
    """
    check_trace("trace", trace)
    logits = _kept("trace", trace)
    temperature = fit_temperatures(held_out)
    if held_out.logits is None or held_out.logits.shape[1:] != logits.shape[1:]:
        raise JsplitError(
            f"held_out must have {logits.shape[1]} exits and {logits.shape[2]} classes "
            f"as trace has, got {len(temperature)} and {held_out.num_classes}"
        )
    if np.array_equal(_kept("held_out", in_order_of(held_out, trace)), logits):
        raise JsplitError("held_out must hold other samples than trace, got the same")
    if trace.remote_logits is None and not trace.lossless:
        raise JsplitError(
            "trace needs remote_logits, because its link is not lossless: record it "
            "with keep_logits=True"
        )
    scaled = (logits / temperature[:, None]).astype(logits.dtype)
    confidence, entropy, _ = softmax.summary(scaled)
    if trace.remote_logits is None:
        remote_logits = None
        remote_confidence = np.broadcast_to(confidence[:, -1:], confidence.shape)
    else:
        remote_logits = (trace.remote_logits / temperature[-1]).astype(logits.dtype)
        remote_confidence, _, _ = softmax.summary(remote_logits)
    before = np.asarray(trace.meta.get("temperature", 1.0))
    held = {key: held_out.meta.get(key) for key in ("dataset", "split")}
    found: dict[str, Any] = {
        "temperature": (before * temperature).tolist(),
        "calibration": {**held, "samples": held_out.num_samples},
        "expected_calibration_error": binned_error(confidence, trace.correct).tolist(),
    }
    return dataclasses.replace(
        trace,
        confidence=confidence,
        entropy=entropy,
        remote_confidence=remote_confidence,
        logits=scaled,
        remote_logits=remote_logits,
        meta={**trace.meta, **found},
    )


def fit_temperatures(held_out: Trace) -> np.ndarray:
    """Returns the temperature of every exit with the least negative log-likelihood.

    With logits z, label y and inverse temperature b,

        NLL(b) = mean_n [log sum_c exp(b z_nc) - b z_ny]

    is convex. Newton's method finds the root of its slope in log b, in float64 and for
    all exits at once. A bracket keeps temperatures within `LOWEST`..`HIGHEST`; exits
    that are never wrong, or worse than chance, end there.

    Args:
        held_out: trace with logits [N, L, C] and labels.

    Returns:
        [L] float64; above 1 = the exit was overconfident.

    Raises:
        JsplitError: if the trace has no logits or no labels.
    """
    check_trace("held_out", held_out)
    logits = _kept("held_out", held_out).astype(np.float64)
    if held_out.label is None:
        raise JsplitError("held_out must have labels, got label None")
    logits -= logits.max(axis=-1, keepdims=True)
    ruled_out = np.isneginf(logits)
    # A class that an exit rules out has no weight, but 0 times -inf is no number.
    logits[ruled_out] = LEAST
    label = np.broadcast_to(held_out.label[:, None], logits.shape[:2])
    at_label = np.take_along_axis(logits, label[:, :, None], axis=-1)[:, :, 0]
    lost = int((at_label == LEAST).sum())
    if lost:
        raise JsplitError(
            f"held_out must have no label whose logit is -inf, got {lost} of "
            f"{at_label.size}, which no temperature can mend"
        )

    def slopes(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the [L] first derivative by b, and the second by log b, over b."""
        weights = np.exp(np.exp(place)[:, None] * logits)
        weights /= weights.sum(axis=-1, keepdims=True)
        mean = (weights * logits).sum(axis=-1)
        variance = (weights * logits**2).sum(axis=-1) - mean**2
        return (mean - at_label).mean(axis=0), np.exp(place) * variance.mean(axis=0)

    low, high = (np.full(logits.shape[1], -np.log(t)) for t in (HIGHEST, LOWEST))
    # A root at an end is found at once; Newton would creep towards it.
    low = np.where(slopes(high)[0] <= 0, high, low)
    high = np.where(slopes(low)[0] >= 0, low, high)
    place = np.clip(np.zeros_like(low), low, high)
    for _ in range(MAX_STEPS):
        slope, change = slopes(place)
        high = np.where(slope > 0, place, high)
        low = np.where(slope > 0, low, place)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = place - slope / change
        inside = (newton > low) & (newton < high)  # False for NaN too
        moved = np.where(inside, newton, (low + high) / 2)
        done = np.abs(moved - place) < TOLERANCE
        place = moved
        if done.all():
            break
    return np.exp(-place)


def _kept(name: str, trace: Trace) -> np.ndarray:
    if trace.logits is None:
        raise JsplitError(
            f"{name} must carry logits, got none: record it with keep_logits=True"
        )
    return trace.logits
