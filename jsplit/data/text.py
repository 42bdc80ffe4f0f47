"""Texts as arrays: WordPiece from a local vocabulary, as BERT uses it.

Here: encoding texts, and learning a vocabulary where none is at hand. Not here: where
texts come from (`loading`), what a network does with them.
"""

import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.data.wordpiece import learn
from jsplit.extras import naming
from jsplit.types import JsplitError
from jsplit.writing import write_text

PAD, UNKNOWN, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class Tokenizer:
    """WordPiece with BERT's normalisation, splitting and special tokens.

    A text becomes [CLS] a [SEP], a pair [CLS] a [SEP] b [SEP]. What is longer than
    `max_length` loses tokens from the end of the longer of the two texts. A "[SEP]"
    written in a text is text, not a token (transformers takes it for one).

    Attributes:
        vocab: tokens in the order of their ids.
        lowercase: whether texts are put in lower case and lose their accents.
        fingerprint: a hash of both.

    Example:
        >>> from jsplit.data import Tokenizer
        >>> special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        >>> tokenizer = Tokenizer([*special, "good", "##ness", "!"])
        >>> tokenizer.encode(["Goodness!", "bad"], max_length=6)[:, 0]
        array([[2, 5, 6, 7, 3, 0],
               [2, 1, 3, 0, 0, 0]], dtype=int32)
    """

    def __init__(self, vocab: Sequence[str], *, lowercase: bool = True) -> None:
        """Builds a tokenizer.

        Args:
            vocab: tokens in the order of their ids, [PAD] first.
            lowercase: whether to put texts in lower case; True for "uncased"
                vocabularies.

        Raises:
            JsplitError: if a token stands twice, if [PAD] is not first, or if one of
                [UNK], [CLS] and [SEP] is missing.
        """
        self.vocab = tuple(vocab)
        self.lowercase = bool(lowercase)
        if not self.vocab or self.vocab[0] != PAD:
            raise JsplitError(
                f"vocab must start with {PAD}, whose id 0 marks padding, got "
                f"{checks.shown(self.vocab[0] if self.vocab else None)}"
            )
        ids = {token: i for i, token in enumerate(self.vocab)}
        if len(ids) != len(self.vocab):
            twice = next(x for i, x in enumerate(self.vocab) if ids[x] != i)
            raise JsplitError(
                f"vocab must hold every token once, got {twice!r} again "
                f"at line {ids[twice] + 1}"
            )
        missing = [token for token in (UNKNOWN, CLS, SEP) if token not in ids]
        if missing:
            raise JsplitError(f"vocab must hold {', '.join(missing)}, got none")
        joined = "\n".join((f"lowercase={self.lowercase}", *self.vocab))
        self.fingerprint = hashlib.sha256(joined.encode()).hexdigest()
        self._engine = _wordpiece(ids, self.lowercase)

    @classmethod
    def from_vocab(
        cls, path: str | os.PathLike[str], *, lowercase: bool | None = None
    ) -> "Tokenizer":
        """Reads a vocab.txt, one token per line in the order of the ids.

        Args:
            path: the file, or a folder with a vocab.txt.
            lowercase: whether to put texts in lower case; True for "uncased"
                vocabularies. Default: True unless more than one token in a hundred
                has capital letters.

        Raises:
            JsplitError: if the file cannot be read, or is no vocabulary (see
                `Tokenizer`).
        """
        path = pathlib.Path(path).expanduser()
        path = path / "vocab.txt" if path.is_dir() else path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise JsplitError(f"vocab: cannot read {path}: {error}") from None
        # Not splitlines: some vocabularies hold characters that it takes for newlines.
        lines = [line.rstrip("\r") for line in text.split("\n")]
        while lines and not lines[-1]:
            lines.pop()
        if lowercase is None:
            capital = [x for x in lines if x != x.lower() and not x.startswith("[")]
            lowercase = 100 * len(capital) <= len(lines)
        try:
            return cls(lines, lowercase=lowercase)
        except JsplitError as error:
            raise JsplitError(f"{path}: {error}") from None

    def __len__(self) -> int:
        return len(self.vocab)

    def encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        max_length: int = 128,
    ) -> np.ndarray:
        """Returns token ids over segment ids.

        Args:
            texts: N texts.
            pairs: N second texts, or None.
            max_length: S >= 4, special tokens included; shorter texts are padded.

        Returns:
            [N, 2, S] int32. Row 0: token ids, 0 = padding. Row 1: 1 on the second text
            and the [SEP] behind it, 0 elsewhere.

        Raises:
            JsplitError: if `max_length` is too small or the numbers of texts differ.
        """
        length = checks.integer("max_length", max_length, 4)
        if pairs is not None and len(pairs) != len(texts):
            raise JsplitError(
                f"pairs must be as many as texts ({len(texts)}), got {len(pairs)}"
            )
        self._engine.enable_truncation(length, strategy="longest_first")
        self._engine.enable_padding(pad_id=0, pad_token=PAD, length=length)
        given: Any = texts if pairs is None else zip(texts, pairs, strict=True)
        encodings = self._engine.encode_batch_fast(list(given))
        encoded = np.zeros((len(encodings), 2, length), np.int32)
        for row, encoding in zip(encoded, encodings, strict=True):
            row[0] = encoding.ids
            row[1] = encoding.type_ids
        return encoded


def train_wordpiece(
    texts: Iterable[str],
    vocab_size: int,
    path: str | os.PathLike[str],
    *,
    lowercase: bool = True,
) -> Tokenizer:
    """Learns a WordPiece vocabulary and writes it as a vocab.txt.

    Args:
        texts: what to learn from.
        vocab_size: tokens to end with, special ones included, >= 6. There are fewer if
            no pair of pieces occurs twice, and more if the texts have more different
            characters.
        path: the file to write. The same texts give the same file.
        lowercase: whether to put texts in lower case and strip accents.

    Returns:
        the tokenizer.

    Raises:
        JsplitError: if `vocab_size` is out of range, if `texts` has no words, or if
            the file cannot be written.
    """
    size = checks.integer("vocab_size", vocab_size, len(SPECIAL) + 1)
    engine = _wordpiece({token: i for i, token in enumerate(SPECIAL)}, lowercase)
    # Most chunks between spaces come again and again; each is split into words once.
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(engine.normalizer.normalize_str(text).split())
    counts: Counter[str] = Counter()
    for chunk, number in chunks.items():
        for word, _ in engine.pre_tokenizer.pre_tokenize_str(chunk):
            counts[word] += number
    if not counts:
        raise JsplitError("texts must hold words to learn from, got none")
    vocab = [*SPECIAL, *learn(counts, size - len(SPECIAL))]
    write_text(path, "".join(f"{x}\n" for x in vocab))
    return Tokenizer(vocab, lowercase=lowercase)


def _wordpiece(ids: dict[str, int], lowercase: bool) -> Any:
    with naming("jsplit.data.Tokenizer"):
        from tokenizers import (
            Tokenizer,
            decoders,
            models,
            normalizers,
            pre_tokenizers,
            processors,
        )

    engine = Tokenizer(
        models.WordPiece(ids, unk_token=UNKNOWN, max_input_chars_per_word=100)
    )
    engine.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    engine.decoder = decoders.WordPiece()
    engine.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, ids[CLS]), (SEP, ids[SEP])],
    )
    return engine
