"""Readers of source files: what a data set's authors distribute, as examples.

Here: which data set is read by which reader, in one explicit table. Not here: how
examples are written (`data.write`).

Keys are those of the builders in TFDS. TFDS orders records by a hash of their key, so
the order is the same too.
"""

from jsplit.data.catalogue import CIFAR10_C, Entry
from jsplit.data.sources import folders, pixels, texts
from jsplit.data.sources.common import Reader

READERS: dict[str, Reader] = {
    "cifar10": pixels.cifar10,
    "mnist": pixels.mnist,
    CIFAR10_C: pixels.cifar10_c,
    "caltech101": folders.image_folder,
    "caltech256": folders.image_folder,
    **dict.fromkeys(texts.GLUE_COLUMNS, texts.glue),
    "snli": texts.snli,
    "scitail": texts.scitail,
    "imdb": texts.imdb,
    "yelp": texts.yelp,
}


def reader_of(entry: Entry) -> Reader:
    """Returns the reader of a data set; images of your own have the one of folders."""
    return READERS.get(entry.name.split("/")[0], folders.image_folder)
