"""Sample traces and compressed files; saving and loading as such is in test_trace."""

import numpy as np
import pytest

import jsplit
from jsplit.traces.loading import load_trace, sample_names, sample_trace
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.core


def test_every_sample_trace_is_whole_and_says_where_it_comes_from():
    assert "digits" in sample_names()
    for name in sample_names():
        trace = jsplit.sample_trace(name)
        assert {"dataset", "model", "split", "versions", "split_bytes"} <= set(
            trace.meta
        )
        assert trace.prediction is not None
        assert trace.accuracy.min() > 1 / trace.num_classes


def test_sample_of_digits_is_what_a_small_network_reaches():
    trace = sample_trace("digits")
    assert (trace.num_samples, trace.num_exits, trace.num_classes) == (900, 6, 10)
    assert trace.accuracy[-1] > 0.95


def test_unknown_sample_lists_the_known_ones():
    with pytest.raises(JsplitError, match=r"name must be one of .*digits.* mean 'dig"):
        sample_trace("digit")


def test_compressed_file_is_smaller_and_the_same_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(500, 4, 3)).astype(np.float32)
    trace = Trace.from_logits(
        logits, rng.integers(3, size=500), remote_logits=-logits, keep_logits=True
    )
    trace.save(tmp_path / "plain.npz")
    trace.save(tmp_path / "small.npz", compress=True)
    for name in ("plain", "small"):
        loaded = load_trace(tmp_path / f"{name}.npz")
        assert loaded.sha256 == trace.sha256
        np.testing.assert_array_equal(loaded.logits, logits)
        np.testing.assert_array_equal(loaded.remote_logits, -logits)
    small, plain = (
        (tmp_path / f"{name}.npz").stat().st_size for name in ("small", "plain")
    )
    assert small < 0.95 * plain
