"""Where real data sets are, and a small vocabulary."""

import os
import pathlib
import string

import pytest

from jsplit.data import Tokenizer, load_texts

ROOT = pathlib.Path(__file__).resolve().parents[1]
REAL = pathlib.Path(
    os.environ.get("JSPLIT_TEST_DATA", ROOT.parent / "shared" / "data" / "tfds")
)
needs_real_data = pytest.mark.skipif(
    not (REAL / "mnist").is_dir(), reason=f"no prepared data sets in {REAL}"
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = string.ascii_lowercase
VOCAB = Tokenizer([*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)])


def texts_of(name, split, folder):
    return load_texts(name, split, folder, progress=False)
