"""WordPiece: special tokens, truncation, transformers, learned vocabularies."""

import itertools

import numpy as np
import pytest
from data_files import REAL, SPECIAL, VOCAB, needs_real_data, texts_of
from make_wordpiece_reference import FILE, HARD, LENGTHS, PAIRS, encoded

from jsplit.data import Tokenizer, train_wordpiece
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

# Ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, un 5, ##aff 6, ##able 7, ...
WORDS = [*SPECIAL, "un", "##aff", "##able", "the", "cafe", "!", "Bert", "bert", "人"]


def ids(text, pair=None, **options):
    tokenizer = Tokenizer(WORDS, lowercase=options.pop("lowercase", True))
    pairs = None if pair is None else [pair]
    return tokenizer.encode([text], pairs, **options)[0].tolist()


def test_single_text():
    assert ids("Unaffable café!", max_length=8) == [
        [2, 5, 6, 7, 9, 10, 3, 0],
        [0] * 8,
    ]


def test_pair_has_segments():
    assert ids("the Bert", "人 unknown!", max_length=10) == [
        [2, 8, 12, 3, 13, 1, 10, 3, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 1, 0, 0],
    ]


def test_special_tokens_in_a_text_are_text():
    assert ids("the [SEP]", max_length=8)[0] == [2, 8, 1, 1, 1, 3, 0, 0]


def test_case_is_kept_if_asked():
    assert ids("Bert", max_length=4, lowercase=False)[0] == [2, 11, 3, 0]


def test_the_longer_of_two_is_cut():
    assert ids("the bert cafe ! the", "un", max_length=6)[0] == [2, 8, 12, 3, 5, 3]
    assert ids("un", "the bert cafe ! the", max_length=6)[0] == [2, 5, 3, 8, 12, 3]


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("max_length", LENGTHS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_equals_the_stored_ids_of_transformers(lowercase, max_length, pairs):
    with np.load(FILE) as file:
        words = file[f"vocab/{lowercase}"].tolist()
        expected = file[f"{lowercase}/{max_length}/{pairs}"]
    ours = Tokenizer(words, lowercase=lowercase)
    got = ours.encode(HARD, PAIRS[pairs], max_length=max_length)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("max_length", LENGTHS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_equals_transformers(tmp_path, max_length, lowercase):
    pytest.importorskip("transformers")
    path = tmp_path / "vocab.txt"
    ours = train_wordpiece(HARD * 2, 120, path, lowercase=lowercase)
    for pairs in PAIRS.values():
        expected = encoded(path, lowercase, max_length, pairs)
        got = ours.encode(HARD, pairs, max_length=max_length)
        np.testing.assert_array_equal(got, expected)


def test_vocabulary_from_a_file(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("\r\n".join([*WORDS, "\u2028", ""]).encode())
    tokenizer = Tokenizer.from_vocab(tmp_path)
    assert tokenizer.vocab == (*WORDS, "\u2028")
    assert len(tokenizer) == len(WORDS) + 1
    assert tokenizer.fingerprint != Tokenizer(WORDS).fingerprint
    cased = Tokenizer(WORDS, lowercase=False)
    assert cased.fingerprint != Tokenizer(WORDS).fingerprint


@pytest.mark.parametrize("lowercase", [True, False])
def test_learned_vocabulary_is_read_in_the_case_it_was_learned_in(tmp_path, lowercase):
    path = tmp_path / "vocab.txt"
    made = train_wordpiece(["Paris, Rome; NATO"] * 2, 40, path, lowercase=lowercase)
    read = Tokenizer.from_vocab(path)
    assert read.lowercase is lowercase
    assert read.fingerprint == made.fingerprint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["[UNK]", "[PAD]", "[CLS]", "[SEP]"], r"start with \[PAD\].* got '\[UNK\]'"),
        ([], r"start with \[PAD\]"),
        (SPECIAL[:2], r"must hold \[CLS\], \[SEP\]"),
        ([*SPECIAL, "a", "b", "a"], "every token once, got 'a' again at line 8"),
    ],
)
def test_bad_vocabularies(words, message, tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(words))
    with pytest.raises(JsplitError, match=message):
        Tokenizer.from_vocab(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Tokenizer.from_vocab("/no/such/file"), "cannot read /no/such/file"),
        (lambda: VOCAB.encode(["a"], max_length=3), "max_length must be .* >= 4"),
        (lambda: VOCAB.encode(["a"], ["b", "c"]), r"as many as texts \(1\), got 2"),
        (lambda: train_wordpiece(["a"], 5, "x"), "vocab_size must be .* >= 6"),
        (lambda: train_wordpiece([" "], 50, "x"), "texts must hold words"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(JsplitError, match=message):
        call()


def naive(words, num_pieces):
    """Counts every pair anew after every merge."""
    split = {word: [word[0], *(f"##{letter}" for letter in word[1:])] for word in words}
    pieces = sorted({piece for parts in split.values() for piece in parts})
    while len(pieces) < num_pieces:
        totals = {}
        for word, parts in split.items():
            for pair in itertools.pairwise(parts):
                totals[pair] = totals.get(pair, 0) + words[word]
        pair = min(totals, key=lambda one: (-totals[one], one), default=None)
        if pair is None or totals[pair] < 2:
            break
        joined = pair[0] + pair[1][2:]
        if joined not in pieces:
            pieces.append(joined)
        for parts in split.values():
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == pair:
                    parts[i : i + 2] = [joined]
                i += 1
    return pieces


def test_learned_pieces_equal_a_naive_count(tmp_path):
    rng = np.random.default_rng(0)
    made = ["".join(rng.choice(list("abc"), rng.integers(1, 9))) for _ in range(200)]
    counts = {word: made.count(word) for word in made}
    text = [" ".join(made)]
    for size in (10, 40, 120, 10_000):
        learned = train_wordpiece(text, size, tmp_path / "vocab.txt")
        assert list(learned.vocab) == [*SPECIAL, *naive(counts, size - len(SPECIAL))]


@needs_real_data
def test_learned_vocabulary_covers_real_texts(tmp_path):
    texts = texts_of("rte", "validation", REAL)
    made = train_wordpiece(texts, 600, tmp_path / "a.txt")
    again = train_wordpiece(texts[::-1], 600, tmp_path / "b.txt")
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text()
    assert len(made) == 600
    assert made.fingerprint == again.fingerprint
    assert not (made.encode(texts)[:, 0] == 1).any()  # nothing is [UNK]
