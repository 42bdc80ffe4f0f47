"""Data sets: real ones prepared by TFDS, cached as memory maps; digits; distortions.

Here: the names users type. `load` reads what `jsplit data prepare` or TensorFlow
Datasets wrote; nothing here needs TensorFlow or a network. Everything heavy
(tensorflow_datasets, Pillow, tokenizers) loads when it is first used.
"""

from jsplit.data.dataset import Dataset, check_examples
from jsplit.data.loading import load, load_texts
from jsplit.data.text import Tokenizer, train_wordpiece

__all__ = [
    "Dataset",
    "Tokenizer",
    "check_examples",
    "load",
    "load_texts",
    "train_wordpiece",
]
