"""Handwritten digits that come with scikit-learn: real, small and offline.

Here: reading and splitting them. Not here: anything that needs a download.
Called by `cli`, the quick start and tests.
"""

import numpy as np

from jsplit import checks
from jsplit.data import Dataset

NUM_TEST = 900


def load_digits_splits(seed: int = 0) -> tuple[Dataset, Dataset]:
    """Returns the digits as a training set and a test set.

    The 1,797 images of 8 x 8 pixels are the test part of the UCI set "Optical
    Recognition of Handwritten Digits", bundled with scikit-learn. Every class keeps
    its share in both halves.

    Args:
        seed: Which images go where, >= 0.

    Returns:
        train: 897 images [897, 8, 8, 1] in [0, 1].
        test: 900 images [900, 8, 8, 1] in [0, 1].

    Raises:
        JsplitError: `seed` is not an integer from 0 to 2^32 - 1.

    Example:
        >>> from jsplit.data.digits import load_digits_splits
        >>> train, test = load_digits_splits()
        >>> train.inputs.shape, test.inputs.shape
        ((897, 8, 8, 1), (900, 8, 8, 1))
    """
    seed = checks.seed(seed)
    # scikit-learn takes a second to import and is needed nowhere else.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    images = (pixels / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    rows = train_test_split(
        np.arange(len(labels)), test_size=NUM_TEST, stratify=labels, random_state=seed
    )
    train, test = (
        Dataset(images[half], labels[half], "digits", name, 10)
        for half, name in zip(rows, ("train", "test"), strict=True)
    )
    return train, test
