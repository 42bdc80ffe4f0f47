"""Loading prepared data sets: real ones where they are at hand, and every trap."""

import os
import pathlib

import numpy as np
import pytest

from jsplit.data import load
from jsplit.data.loading import parse_split

ROOT = pathlib.Path(__file__).resolve().parents[1]
REAL = pathlib.Path(
    os.environ.get("JSPLIT_TEST_DATA", ROOT.parent / "shared" / "data" / "tfds")
)
needs_real_data = pytest.mark.skipif(
    not (REAL / "mnist").is_dir(), reason=f"no prepared data sets in {REAL}"
)


@needs_real_data
def test_mnist_test_set(tmp_path):
    data = load("mnist", "test", REAL, cache_dir=tmp_path, progress=False)
    assert data.inputs.shape == (10_000, 28, 28, 1)
    assert data.inputs.dtype == np.uint8
    published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.labels).tolist() == published
    assert data.meta["num_unlabelled"] == 0
    again = load("mnist", "test[90%:]", REAL, cache_dir=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(again.inputs, data.inputs[9000:])


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", slice(0, 11)),
        ("train[:50%]", slice(0, 6)),
        ("train[50%:]", slice(6, 11)),
        ("train[3:-2]", slice(3, 9)),
        ("train[-10%:]", slice(10, 11)),
        ("train[:99]", slice(0, 11)),
    ],
)
def test_slices(split, rows):
    name, window = parse_split(split)
    assert (name, window(11)) == ("train", rows)
