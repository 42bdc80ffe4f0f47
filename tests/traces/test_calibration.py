import dataclasses

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from jsplit.traces.calibration import (
    HIGHEST,
    LOWEST,
    binned_error,
    calibrate,
    expected_calibration_error,
    fit_temperatures,
)
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

L, C = 3, 4
TRUE = np.array([0.2, 1.0, 6.0])  # by what honest logits were multiplied


def draw(num_samples, seed, **kwargs):
    """A float64 trace with logits; the labels are drawn by the last exit's."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(num_samples, L, C)) + rng.normal(size=(num_samples, 1, C))
    probability = scipy.special.softmax(honest[:, -1], axis=-1)
    label = (probability.cumsum(-1) > rng.random((num_samples, 1))).argmax(-1)
    return Trace.from_logits(honest * TRUE[:, None], label, keep_logits=True, **kwargs)


def loss(trace, exit_, temperature):
    scaled = trace.logits[:, exit_].astype(np.float64) / temperature
    logs = scipy.special.log_softmax(scaled, axis=-1)
    return -logs[np.arange(trace.num_samples), trace.label].mean()


@pytest.fixture(scope="module")
def held_out():
    return draw(500, 1, dataset="toy", split="validation")


def test_temperatures_are_those_that_scipy_finds(held_out):
    found = fit_temperatures(held_out)
    for exit_ in range(L):
        best = scipy.optimize.minimize_scalar(
            lambda u, exit_=exit_: loss(held_out, exit_, np.exp(u)),
            bounds=(np.log(LOWEST), np.log(HIGHEST)),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert found[exit_] == pytest.approx(np.exp(best.x), rel=1e-5)


def test_temperature_of_the_labels_own_logits_is_recovered():
    assert fit_temperatures(draw(20_000, 2))[-1] == pytest.approx(TRUE[-1], rel=0.05)


def test_extreme_exits_get_the_ends_of_the_range():
    logits = np.array([[[3.0, 0.0], [0.0, 1e-3]], [[2.0, 0.0], [1.0, 2.0]]])
    trace = Trace.from_logits(logits, [0, 0], keep_logits=True)
    assert fit_temperatures(trace) == pytest.approx([LOWEST, HIGHEST])


def test_calibration_lowers_the_loss_and_keeps_every_prediction(held_out):
    test = draw(2000, 3)
    calibrated = calibrate(test, held_out)
    np.testing.assert_array_equal(calibrated.prediction, test.prediction)
    np.testing.assert_array_equal(calibrated.correct, test.correct)
    for exit_ in (0, 2):
        assert loss(calibrated, exit_, 1.0) < loss(test, exit_, 1.0)
    before, after = map(expected_calibration_error, (test, calibrated))
    assert (after[[0, 2]] < 0.7 * before[[0, 2]]).all()
    assert calibrated.meta["expected_calibration_error"] == after.tolist()
    assert calibrated.lossless
    assert calibrated.meta["calibration"] == {
        "dataset": "toy",
        "split": "validation",
        "samples": 500,
    }


def test_calibrated_numbers_are_those_of_the_scaled_logits(held_out):
    test = draw(50, 3)
    calibrated = calibrate(test, held_out)
    temperature = fit_temperatures(held_out)
    assert calibrated.meta["temperature"] == temperature.tolist()
    scaled = scipy.special.softmax(test.logits / temperature[:, None], axis=-1)
    np.testing.assert_allclose(calibrated.confidence, scaled.max(-1), rtol=1e-12)
    np.testing.assert_allclose(
        calibrated.entropy, scipy.special.entr(scaled).sum(-1), rtol=1e-9
    )
    np.testing.assert_array_equal(
        calibrated.remote_confidence, calibrated.confidence[:, [-1] * L]
    )


def test_second_calibration_on_the_same_samples_changes_nothing(held_out):
    once = calibrate(draw(50, 3), held_out)
    twice = calibrate(once, calibrate(held_out, draw(500, 4)))
    assert twice.meta["temperature"] != once.meta["temperature"]
    again = calibrate(once, dataclasses.replace(held_out, logits=_scaled(held_out)))
    np.testing.assert_allclose(again.confidence, once.confidence, rtol=1e-6)


def _scaled(trace):
    return trace.logits / fit_temperatures(trace)[:, None]


def test_lossy_link_takes_the_temperature_of_the_last_exit(held_out):
    plain = draw(50, 3)
    remote = np.random.default_rng(0).normal(size=plain.logits.shape)
    test = Trace.from_logits(
        plain.logits, plain.label, remote_logits=remote, keep_logits=True
    )
    calibrated = calibrate(test, held_out)
    expected = scipy.special.softmax(remote / fit_temperatures(held_out)[-1], axis=-1)
    np.testing.assert_allclose(calibrated.remote_confidence, expected.max(-1))
    np.testing.assert_array_equal(calibrated.remote_correct, test.remote_correct)
    with pytest.raises(JsplitError, match="trace needs remote_logits"):
        calibrate(dataclasses.replace(test, remote_logits=None), held_out)


def test_traces_without_what_is_needed_are_refused(held_out):
    test = draw(50, 3)
    bare = dataclasses.replace(test, logits=None)
    other = Trace.from_logits(np.zeros((4, 2, C)), [0] * 4, keep_logits=True)
    for arguments, message in (
        ((bare, held_out), "trace must carry logits"),
        ((test, bare), "held_out must carry logits"),
        ((test, other), "held_out must have 3 exits and 4 classes .* got 2 and 4"),
        ((test, test), "held_out must hold other samples"),
        ((test, dataclasses.replace(held_out, label=None)), "held_out must have label"),
        ((test, 3), "held_out must be a jsplit.Trace, got int"),
        ((None, held_out), "trace must be a jsplit.Trace, got NoneType"),
    ):
        with pytest.raises(JsplitError, match=message):
            calibrate(*arguments)


def error_by_loop(confidence, correct, num_bins):
    """The definition, bin by bin and sample by sample."""
    error = 0.0
    for b in range(num_bins):
        inside = [
            i
            for i, value in enumerate(confidence)
            if b / num_bins < value <= (b + 1) / num_bins or (b == 0 and value == 0)
        ]
        if inside:
            gap = np.mean(correct[inside]) - np.mean(confidence[inside])
            error += len(inside) / len(confidence) * abs(gap)
    return error


@pytest.mark.parametrize("num_bins", [1, 4, 15])
def test_calibration_error_equals_a_loop(num_bins):
    trace = draw(200, 5)
    found = expected_calibration_error(trace, num_bins=num_bins)
    for exit_ in range(L):
        one = error_by_loop(
            trace.confidence[:, exit_], trace.correct[:, exit_], num_bins
        )
        assert found[exit_] == pytest.approx(one, abs=1e-12)


def test_edges_belong_to_the_bin_below():
    confidence = np.array([[0.0], [0.5], [0.75], [1.0]])
    correct = np.array([[True], [False], [True], [True]])
    # ((0 - 0.5) + (1 - 0)) / 4 in the first of two bins, (0.25 + 0) / 4 in the second
    assert binned_error(confidence, correct, num_bins=2) == pytest.approx([0.1875])


def test_bins_of_equal_count_are_quantiles():
    trace = draw(90, 6)
    found = expected_calibration_error(trace, num_bins=9, bins="equal_count")
    for exit_ in range(L):
        order = trace.confidence[:, exit_].argsort().reshape(9, 10)
        gap = trace.correct[order, exit_].mean(1) - trace.confidence[order, exit_].mean(
            1
        )
        assert found[exit_] == pytest.approx(np.abs(gap).mean(), abs=1e-12)


def test_bad_bins_are_refused():
    trace = draw(10, 7)
    with pytest.raises(JsplitError, match="num_bins must be an integer >= 1, got 0"):
        expected_calibration_error(trace, num_bins=0)
    with pytest.raises(JsplitError, match="bins must be one of equal_width, eq"):
        expected_calibration_error(trace, bins="equal_mass")  # type: ignore[arg-type]


def test_logits_must_fit_the_trace(held_out):
    for change, message in (
        ({"logits": held_out.logits[:, :2]}, r"logits must have shape \(500, 3, 4\)"),
        ({"logits": -held_out.logits}, "prediction must be a largest one of logits"),
        ({"logits": None, "remote_logits": held_out.logits}, "remote_logits need log"),
        (
            {"remote_logits": held_out.logits[:, :, :2]},
            "remote_logits must have sh",
        ),
    ):
        with pytest.raises(JsplitError, match=message):
            dataclasses.replace(held_out, **change)
