"""Logits and probabilities: told apart, in any clear shape, in little memory."""

import os
import pathlib
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import scipy.special

from jsplit.traces import scores
from jsplit.traces.calibration import calibrate, fit_temperatures
from jsplit.traces.loading import load_trace
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = pathlib.Path(
    os.environ.get("JSPLIT_TEST_CASES", ROOT.parent / "shared" / "cases")
)
N, L, C = 40, 3, 5
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(scale=3, size=(N, L, C))
LABELS = RNG.integers(C, size=N)
PROBABILITIES = scipy.special.softmax(LOGITS, axis=-1)


def refused(words, build, *arguments, **options):
    with pytest.raises(JsplitError) as error:
        build(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words.split()), message


def assert_same(one, other, atol=0.0):
    for name in ("confidence", "entropy", "remote_confidence"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=atol)
    np.testing.assert_array_equal(one.prediction, other.prediction)
    np.testing.assert_array_equal(one.correct, other.correct)


def test_probabilities_say_what_their_logits_say():
    wanted = Trace.from_logits(LOGITS, LABELS, remote_logits=-LOGITS)
    remote = scipy.special.softmax(-LOGITS, axis=-1)
    given = {"remote_probabilities": remote, "sample": range(N), "dataset": "toy"}
    trace = Trace.from_probabilities(PROBABILITIES, LABELS, **given)
    assert_same(trace, wanted, 1e-12)
    assert (trace.num_classes, trace.meta["dataset"]) == (C, "toy")
    assert trace.sample.tolist() == list(range(N))
    single = Trace.from_probabilities(PROBABILITIES.astype(np.float32), LABELS)
    assert single.confidence.dtype == np.float32


def test_kept_logarithms_of_probabilities_can_be_calibrated():
    trace = Trace.from_probabilities(PROBABILITIES, LABELS, keep_logits=True)
    wanted = Trace.from_logits(LOGITS, LABELS, keep_logits=True)
    np.testing.assert_allclose(fit_temperatures(trace), fit_temperatures(wanted))


def test_zero_and_one_are_probabilities():
    sure = np.eye(C)[np.broadcast_to(LABELS[:, None], (N, L))]
    trace = Trace.from_probabilities(sure, LABELS, keep_logits=True)
    assert (trace.confidence == 1).all()
    assert (trace.entropy == 0).all()
    assert trace.accuracy.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, float])
@pytest.mark.parametrize("num_classes", [2, 5, 1000])
def test_probabilities_named_logits_are_refused(dtype, num_classes):
    logits = np.random.default_rng(1).normal(size=(N, L, num_classes))
    given = scipy.special.softmax(logits, axis=-1).astype(dtype)
    label = LABELS % num_classes
    refused(
        "probabilities exit 1 Trace.from_probabilities", Trace.from_logits, given, label
    )
    Trace.from_probabilities(given, label)
    mixed = np.concatenate([logits[:, :2], given[:, 2:].astype(float)], axis=1)
    refused("logits probabilities exit 3", Trace.from_logits, mixed, label)
    with np.errstate(divide="ignore"):
        Trace.from_logits(np.log(given.astype(float)), label)  # whose softmax they are


def test_what_is_no_probability_is_refused():
    for given, words in (
        (LOGITS, "probabilities in [0, 1]"),
        (PROBABILITIES * 0.9, "the sum of probabilities 1 over classes (120 of 120"),
        (PROBABILITIES * np.nan, "probabilities finite nan"),
        (PROBABILITIES[0], "probabilities [N, L, C] (3, 5)"),
        (PROBABILITIES > 0.5, "probabilities real bool"),
    ):
        refused(words, Trace.from_probabilities, given, LABELS)
    away = {"remote_probabilities": PROBABILITIES * 2}
    refused("remote_prob", Trace.from_probabilities, PROBABILITIES, LABELS, **away)


def test_probabilities_are_read_from_files(tmp_path):
    np.savez(tmp_path / "a.npz", probs=PROBABILITIES, labels=LABELS)
    assert_same(
        load_trace(tmp_path / "a.npz"), Trace.from_logits(LOGITS, LABELS), 1e-12
    )
    np.savez(tmp_path / "a.npz", logits=PROBABILITIES, labels=LABELS)
    refused("or as probabilities in a file", load_trace, tmp_path / "a.npz")


def test_ruled_out_classes_count_for_nothing():
    """As if there were no such class, in calibration too."""
    ruled_out = np.concatenate([LOGITS, np.full((N, L, 1), -np.inf)], axis=-1)
    one, other = (
        Trace.from_logits(logits, LABELS, keep_logits=True)
        for logits in (ruled_out, LOGITS)
    )
    assert_same(one, other, 1e-12)
    np.testing.assert_allclose(fit_temperatures(one), fit_temperatures(other))
    half = Trace.from_logits(ruled_out[::2], LABELS[::2], keep_logits=True)
    assert np.isneginf(calibrate(half, one).logits[..., -1]).all()
    ruled_out[3, 1, LABELS[3]] = -np.inf
    lost = Trace.from_logits(ruled_out, LABELS, keep_logits=True)
    refused("held_out -inf 1 of 120", fit_temperatures, lost)


def test_logits_that_are_infinite_otherwise_are_refused():
    for value, where, words in (
        (np.inf, (3, 1, 2), "inf at logits[3, 1, 2] (1 of 600"),
        (-np.inf, (3, 1), "-inf at logits[3, 1, 0] (5 of 600"),
        (np.nan, (3, 1, 2), "nan at logits[3, 1, 2] (1 of 600"),
    ):
        logits = LOGITS.copy()
        logits[where] = value
        refused(words, Trace.from_logits, logits, LABELS)


def test_list_with_one_array_per_exit():
    parts = [LOGITS[:, i] for i in range(L)]
    assert_same(Trace.from_logits(parts, LABELS), Trace.from_logits(LOGITS, LABELS))
    samples = list(LOGITS)
    assert_same(Trace.from_logits(samples, LABELS), Trace.from_logits(LOGITS, LABELS))
    nested = Trace.from_logits(LOGITS.tolist(), LABELS)
    assert_same(nested, Trace.from_logits(LOGITS, LABELS), 1e-6)
    refused("N = L", Trace.from_logits, [x[:L] for x in parts], LABELS[:L])
    refused("exits differ", Trace.from_logits, [*parts[:2], parts[2][:, :2]], LABELS)
    swapped = LOGITS.swapaxes(0, 1)
    refused("(3, 40, 5) 40 labels swap axes", Trace.from_logits, swapped, LABELS)
    remote = {"remote_logits": [-x for x in parts]}
    assert_same(
        Trace.from_logits(parts, LABELS, **remote),
        Trace.from_logits(LOGITS, LABELS, remote_logits=-LOGITS),
    )


def test_labels_that_count_from_one_are_refused():
    prediction = LOGITS.argmax(axis=-1)
    prediction[:30] = LABELS[:30, None]
    confidence = PROBABILITIES.max(axis=-1)
    Trace.from_arrays(confidence, prediction, LABELS)
    for said, truth, first in (
        (prediction, LABELS + 1, "labels seem to count classes from 1"),
        (prediction + 1, LABELS, "predictions seem to count classes from 1"),
    ):
        refused(first, Trace.from_arrays, confidence, said, truth)
    refused("subtract 1", Trace.from_logits, LOGITS, np.arange(N) % C + 1)
    # One class only, all wrong: nothing tells a shift from a bad network.
    Trace.from_arrays(confidence, np.zeros((N, L)), np.ones(N))


def test_masked_values_are_refused():
    mask = np.zeros((N, L, C), bool)
    mask[2, 1, 0] = True
    masked = np.ma.masked_array(LOGITS, mask)
    assert_same(
        Trace.from_logits(np.ma.masked_array(LOGITS), LABELS),
        Trace.from_logits(LOGITS, LABELS),
    )
    refused("logits 1 masked", Trace.from_logits, masked, LABELS)
    parts = [masked[:, i] for i in range(L)]
    refused("logits 1 masked", Trace.from_logits, parts, LABELS)
    labels = np.ma.masked_equal(LABELS, LABELS[0])
    refused("labels masked", Trace.from_logits, LOGITS, labels)


def test_object_arrays_of_numbers_are_read():
    one = Trace.from_logits(LOGITS.astype(object), LABELS.astype(object))
    assert_same(one, Trace.from_logits(LOGITS, LABELS))


def test_blocks_give_the_same_as_the_whole(monkeypatch):
    wanted = (
        Trace.from_logits(LOGITS, LABELS),
        Trace.from_probabilities(PROBABILITIES, LABELS),
    )
    for block in (1, 2 * L * C, 7 * L * C):
        monkeypatch.setattr(scores, "BLOCK", block)
        found = (
            Trace.from_logits(LOGITS, LABELS),
            Trace.from_probabilities(PROBABILITIES, LABELS),
        )
        for one, other in zip(found, wanted, strict=True):
            assert one.sha256 == other.sha256


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_many_classes_take_little_more_than_their_input(dtype):
    logits = np.zeros((100, 4, 32_000), dtype)
    logits += np.arange(32_000) % 7
    tracemalloc.start()
    Trace.from_logits(logits, np.zeros(100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.3 * logits.nbytes


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
def test_cases_of_values():
    for name, words in (
        ("probabilities_as_logits.npz", "probabilities at exit 1 from_probabilities"),
        ("one_based_labels.csv", "labels seem to count classes from 1"),
        ("two_label_arrays.npz", "label 'label' and 'labels' differ columns"),
    ):
        refused(words, load_trace, CASES / name)
    stated = load_trace(CASES / "two_label_arrays.npz", columns={"label": "labels"})
    assert stated.label[:3].tolist() == [3, 2, 2]
