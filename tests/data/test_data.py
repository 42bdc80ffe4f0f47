import subprocess
import sys
import zlib

import jax
import numpy as np
import pytest
import scipy.ndimage

from jsplit.data import Dataset, digits, load
from jsplit.data.distort import gaussian_blur, gaussian_noise
from jsplit.data.inspect import check, listing
from jsplit.data.write import prepare
from jsplit.types import JsplitError

IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 11, 2)).astype(np.float32)


def test_digits_are_split_once_and_stratified():
    train, test = load("digits", "train"), load("digits", "test")
    assert train.inputs.shape == (897, 8, 8, 1)
    assert test.inputs.shape == (900, 8, 8, 1)
    assert (train.split, test.split, test.name) == ("train", "test", "digits")
    assert test.inputs.min() == 0.0
    assert test.inputs.max() == 1.0
    counts = [np.bincount(data.labels, minlength=10) for data in (train, test)]
    assert np.abs(counts[0] - counts[1]).max() <= 2
    # 1,797 different images: none is in both halves.
    rows = np.concatenate([train.inputs, test.inputs]).reshape(1797, 64)
    assert len(np.unique(rows, axis=0)) == 1797


def test_digits_are_those_that_traces_were_recorded_from():
    """CRC-32 of what scikit-learn's split gave, whose seed 0 made the samples."""
    found = {
        split: [zlib.crc32(x.tobytes()) for x in (data.inputs, data.labels)]
        for split in ("train", "test")
        for data in [load("digits", split)]
    }
    assert found == {"train": [2864477367, 922706528], "test": [151973761, 2472084591]}
    assert load("digits", "train").inputs.dtype == np.float32


def test_digits_have_slices_and_one_size():
    whole, part = load("digits", "test"), load("digits", "test[90%:]")
    np.testing.assert_array_equal(part.inputs, whole.inputs[810:])
    np.testing.assert_array_equal(part.labels, whole.labels[810:])
    assert part.meta == {"rows": [810, 900]}
    assert part.split == "test[90%:]"
    assert (load("digits", "train", image_size=8).inputs.shape) == (897, 8, 8, 1)


def test_digits_are_in_the_catalogue_and_need_no_preparing(tmp_path):
    (row,) = [row for row in listing(tmp_path) if row["name"] == "digits"]
    assert row["splits"] == {"train": 897, "test": 900}
    assert row["problem"] is None
    assert digits.PATH.stat().st_size < 60_000
    for call in (prepare, check):
        with pytest.raises(JsplitError, match=r"^digits comes with jsplit: there is n"):
            call("digits", data_dir=tmp_path)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.3, 9.0])
def test_blur_equals_scipy(sigma):
    """Sigma 9 reaches over several reflections of an image 8 pixels high."""
    expected = scipy.ndimage.gaussian_filter(
        IMAGES, (0, sigma, sigma, 0), mode="reflect", truncate=4.0
    )
    np.testing.assert_allclose(gaussian_blur(IMAGES, sigma), expected, atol=1e-5)


def test_blur_with_sigma_zero_changes_nothing():
    np.testing.assert_array_equal(gaussian_blur(IMAGES, 0.0), IMAGES)


def test_noise_has_the_mean_and_deviation_asked_for():
    grey = np.full((10, 100, 100, 1), 0.5, np.float32)
    noise = np.asarray(gaussian_noise(grey, 0.1, jax.random.key(0))) - grey
    # Standard errors: 0.1 / sqrt(1e5) = 3e-4 and 0.1 / sqrt(2e5) = 2e-4.
    assert abs(noise.mean()) < 1.5e-3
    assert noise.std() == pytest.approx(0.1, abs=1e-3)


def test_noise_is_seeded_and_clipped():
    first, again, other = (
        np.asarray(gaussian_noise(IMAGES, 1.0, jax.random.key(seed)))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.min() == 0.0
    assert first.max() == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_blur(IMAGES, -1.0), r"sigma must be .* >= 0, got -1.0"),
        (lambda: gaussian_blur(IMAGES[0], 1.0), r"images must have .* \(8, 11, 2\)"),
        (
            lambda: gaussian_noise(IMAGES, float("nan"), jax.random.key(0)),
            r"std must be a finite number >= 0, got nan",
        ),
        (
            lambda: load("digits", "train", image_size=16),
            r"image_size must be \(8, 8\) for digits, which is not resized, got 16",
        ),
        (
            lambda: load("digits", "valid"),
            r"split of digits must be one of train, test, got 'valid'",
        ),
        (
            lambda: load("digits", "test[900:]"),
            r"split test\[900:\] of digits is empty",
        ),
        (
            lambda: Dataset(IMAGES, np.array([0, 1, 2]), "toy", "test", 2),
            r"labels must be from 0 to 1, got 2 at position 2",
        ),
        (
            lambda: Dataset(IMAGES, np.array([0, 1]), "toy", "test", 2),
            r"labels must have shape \(3,\), one per image, got \(2,\)",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(JsplitError, match=message):
        call()


def test_data_imports_neither_flax_nor_sklearn():
    code = (
        "import sys, jsplit.data, jsplit.data.digits, jsplit.data.distort\n"
        "assert not {'flax', 'sklearn', 'optax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
