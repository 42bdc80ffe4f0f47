"""The data sets that jsplit knows by a short name, in one explicit table.

Here: where TFDS keeps each set, which features to read and how many classes there
are. Not here: reading (`prepared`), writing (`prepare`). A new set is one entry.
"""

import dataclasses
from typing import Literal

from jsplit import checks


@dataclasses.dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        name: What users type, for example "sst2".
        tfds: Folder below the data directory and above the version, which is the name
            in TensorFlow Datasets: "glue/sst2".
        version: Version that `prepare` writes; any version is read.
        kind: "images" or "texts".
        features: What makes up an input: one image, one text, or two texts.
        num_classes: C.
        splits: Splits that carry labels, the usual test split last.
        origin: Where the examples come from.
        label: Feature that holds the class.
    """

    name: str
    tfds: str
    version: str
    kind: Literal["images", "texts"]
    features: tuple[str, ...]
    num_classes: int
    splits: tuple[str, ...]
    origin: str
    label: str = "label"


_IMAGE = ("image",)
_SENTENCE = ("sentence",)
_PAIR = ("sentence1", "sentence2")
_NLI = ("premise", "hypothesis")
_GLUE = ("train", "validation")

_ENTRIES = (
    Entry(
        "cifar10",
        "cifar10",
        "3.0.2",
        "images",
        _IMAGE,
        10,
        ("train", "test"),
        "Krizhevsky 2009; 32 x 32 colour photographs",
    ),
    Entry(
        "mnist",
        "mnist",
        "3.0.1",
        "images",
        _IMAGE,
        10,
        ("train", "test"),
        "LeCun et al. 1998; 28 x 28 handwritten digits",
    ),
    Entry(
        "sst2",
        "glue/sst2",
        "2.0.0",
        "texts",
        _SENTENCE,
        2,
        _GLUE,
        "Socher et al. 2013, GLUE; sentiment of film review phrases",
    ),
    Entry(
        "imdb",
        "imdb_reviews/plain_text",
        "1.0.0",
        "texts",
        ("text",),
        2,
        ("train", "test"),
        "Maas et al. 2011; sentiment of film reviews",
    ),
    Entry(
        "yelp",
        "yelp_polarity_reviews",
        "0.2.0",
        "texts",
        ("text",),
        2,
        ("train", "test"),
        "Zhang et al. 2015; sentiment of Yelp reviews",
    ),
    Entry(
        "rte",
        "glue/rte",
        "2.0.0",
        "texts",
        _PAIR,
        2,
        _GLUE,
        "RTE 1, 2, 3 and 5, GLUE; textual entailment",
    ),
    Entry(
        "scitail",
        "sci_tail",
        "1.0.0",
        "texts",
        _NLI,
        2,
        ("train", "validation", "test"),
        "Khot et al. 2018; entailment in science questions",
    ),
    Entry(
        "mrpc",
        "glue/mrpc",
        "2.0.0",
        "texts",
        _PAIR,
        2,
        _GLUE,
        "Dolan and Brockett 2005, GLUE; paraphrases in news",
    ),
    Entry(
        "qqp",
        "glue/qqp",
        "2.0.0",
        "texts",
        ("question1", "question2"),
        2,
        _GLUE,
        "Quora 2017, GLUE; duplicate questions",
    ),
    Entry(
        "mnli",
        "glue/mnli",
        "2.0.0",
        "texts",
        _NLI,
        3,
        ("train", "validation_matched", "validation_mismatched"),
        "Williams et al. 2018, GLUE; inference over ten genres",
    ),
    Entry(
        "snli",
        "snli",
        "1.1.0",
        "texts",
        _NLI,
        3,
        ("train", "validation", "test"),
        "Bowman et al. 2015; inference over picture captions",
    ),
)
CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def entry_of(name: str) -> Entry:
    """Returns the entry called `name`, or raises with the known names."""
    return CATALOGUE[checks.choice("name", name, CATALOGUE)]
