"""Handwritten digits that come with jsplit: real, small and offline.

Here: their file. Not here: slices of it (`loading`).

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0.
These are the 1,797 images of its test part, 8 x 8 pixels of 0 to 16. We have divided
them into a training half and a test half, in which every class has the same share.
"""

import pathlib

import numpy as np

PATH = pathlib.Path(__file__).with_name("digits.npz")
WHITE = 16  # the largest value of a pixel
COUNTS = {"train": 897, "test": 900}


def read_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images and labels of one half.

    Args:
        split: "train" or "test".

    Returns:
        images: [N, 8, 8, 1] float32 in [0, 1].
        labels: [N] int32, 0..9.

    Example:
        >>> from jsplit.data.digits import read_digits
        >>> images, labels = read_digits("test")
        >>> images.shape, labels[:5].tolist()
        ((900, 8, 8, 1), [4, 9, 7, 0, 6])
    """
    with np.load(PATH) as file:
        pixels, labels = file[f"{split}_images"], file[f"{split}_labels"]
    images = (pixels[..., None] / WHITE).astype(np.float32)
    return images, labels.astype(np.int32)
