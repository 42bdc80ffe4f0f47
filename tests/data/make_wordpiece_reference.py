"""Writes wordpiece_reference.npz: the ids that the tokenizer of `transformers` gives.

Run with torch and transformers installed:
python tests/data/make_wordpiece_reference.py
"""

import pathlib
import tempfile

import numpy as np

from jsplit.data import train_wordpiece

FILE = pathlib.Path(__file__).parent / "wordpiece_reference.npz"
LENGTHS = (8, 24, 64)
HARD = [
    "",
    "  The\tcafé -- UNAFFABLE!! ",
    "naïve façade, e\u0301lan; d\u0130yarbak\u0131r",
    "人工 intelligence\u200b and\u00a0spaces",
    "don't   stop\x00\ufffd; $9.99 (50%)",
    "a" * 120,
    "SEP] in a text, ##able too",
    "emoji 🙂 and ﬁ ligature",
]
PAIRS = {"one": None, "two": HARD[::-1]}


def encoded(vocab, lowercase, max_length, pairs):
    """Ids and segments [text, 2, max_length] by `transformers`."""
    import transformers

    theirs = transformers.BertTokenizer(str(vocab), do_lower_case=lowercase)(
        HARD,
        pairs,
        padding="max_length",
        truncation="longest_first",
        max_length=max_length,
    )
    return np.stack([theirs["input_ids"], theirs["token_type_ids"]], axis=1)


def main():
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for lowercase in (True, False):
            path = pathlib.Path(folder) / "vocab.txt"
            made = train_wordpiece(HARD * 2, 120, path, lowercase=lowercase)
            found[f"vocab/{lowercase}"] = np.array(made.vocab)
            for max_length in LENGTHS:
                for name, pairs in PAIRS.items():
                    ids = encoded(path, lowercase, max_length, pairs)
                    found[f"{lowercase}/{max_length}/{name}"] = ids.astype(np.int16)
    np.savez_compressed(FILE, **found)
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
