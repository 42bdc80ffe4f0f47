"""Data sets: real ones prepared by TFDS, cached as memory maps; digits; distortions.

Here: `catalogue` (the sets known by name), `loading` (a split as arrays), `read` and
`write` (records in the layout of TensorFlow Datasets), `sources` (the files authors
distribute), `cache`, `images`, `text` and `wordpiece`, `digits` (ships with jsplit),
`distort`, `jpeg` and `augment`, `inspect` (what is prepared, and is it whole). Nothing
needs TensorFlow or a network. Everything heavy loads when it is first used.
"""

from jsplit.data import distort
from jsplit.data.dataset import Dataset, check_examples
from jsplit.data.loading import load, load_texts
from jsplit.data.text import Tokenizer, train_wordpiece

__all__ = [
    "Dataset",
    "Tokenizer",
    "check_examples",
    "distort",
    "load",
    "load_texts",
    "train_wordpiece",
]
