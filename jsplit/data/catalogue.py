"""The data sets that jsplit knows by a short name, in one explicit table.

Here: where TFDS keeps each set, which features to read, the classes in the order of
their ids, where the source files come from. Not here: reading (`read`), writing
(`write`). A new set is one entry, and one line in `sources` if it can be prepared.
"""

import dataclasses
from typing import Literal

from jsplit import checks
from jsplit.types import JsplitError


@dataclasses.dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        name: what users type, for example "sst2".
        tfds: its name in TensorFlow Datasets, for example "glue/sst2": the folder below
            the data directory and above the version.
        version: what `prepare` writes; any version is read.
        kind: "images" or "texts".
        features: what makes up an input: one image, one text, or two texts.
        classes: names in the order of the labels; empty where folders name them.
        splits: splits that carry labels.
        about: authors, year and content.
        home: where the source files come from.
        image_shape: height, width and channels; None for texts and where images differ.
        label: feature that holds the class.
        shipped: whether it comes with jsplit, so that nothing is to be prepared.
    """

    name: str
    tfds: str
    version: str
    kind: Literal["images", "texts"]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    about: str
    home: str = ""
    image_shape: tuple[int, int, int] | None = None
    label: str = "label"
    shipped: bool = False


def _image(
    name: str,
    version: str,
    shape: tuple[int, int, int] | None,
    classes: str,
    about: str,
    home: str,
    tfds: str = "",
) -> Entry:
    return Entry(
        name,
        tfds or name,
        version,
        "images",
        ("image",),
        tuple(classes.split()),
        ("train", "test"),
        about,
        home,
        shape,
    )


def _text(
    name: str,
    tfds: str,
    version: str,
    features: str,
    classes: str,
    splits: str,
    about: str,
    home: str,
) -> Entry:
    return Entry(
        name,
        tfds,
        version,
        "texts",
        tuple(features.split()),
        tuple(classes.split()),
        tuple(splits.split()),
        about,
        home,
    )


_CIFAR10_SHAPE = (32, 32, 3)
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_GLUE = "https://gluebenchmark.com/tasks"
_NLI = "entailment neutral contradiction"
_DIGITS = "0 1 2 3 4 5 6 7 8 9"
_ENTRIES = (
    dataclasses.replace(
        _image(
            "digits",
            "1.0.0",
            (8, 8, 1),
            _DIGITS,
            "Alpaydin and Kaynak 1998: handwritten digits of 8 x 8, in jsplit itself",
            "https://doi.org/10.24432/C50P49",
        ),
        shipped=True,
    ),
    _image(
        "cifar10",
        "3.0.2",
        _CIFAR10_SHAPE,
        _CIFAR10,
        "Krizhevsky 2009: colour photographs of 32 x 32",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    _image(
        "mnist",
        "3.0.1",
        (28, 28, 1),
        _DIGITS,
        "LeCun et al. 1998: handwritten digits of 28 x 28",
        "http://yann.lecun.com/exdb/mnist",
    ),
    _image(
        "caltech101",
        "3.0.2",
        None,
        "",
        "Fei-Fei et al. 2004: photographs of 101 kinds and background",
        "https://doi.org/10.22002/D1.20086",
    ),
    _image(
        "caltech256",
        "1.0.0",
        None,
        "",
        "Griffin et al. 2007: photographs of 256 kinds and clutter",
        "https://doi.org/10.22002/D1.20087",
    ),
    _text(
        "sst2",
        "glue/sst2",
        "2.0.0",
        "sentence",
        "negative positive",
        "train validation",
        "Socher et al. 2013 (GLUE): sentiment of phrases from film reviews",
        _GLUE,
    ),
    _text(
        "imdb",
        "imdb_reviews/plain_text",
        "1.0.0",
        "text",
        "neg pos",
        "train test",
        "Maas et al. 2011: sentiment of film reviews",
        "https://ai.stanford.edu/~amaas/data/sentiment",
    ),
    _text(
        "yelp",
        "yelp_polarity_reviews",
        "0.2.0",
        "text",
        "1 2",
        "train test",
        "Zhang et al. 2015: sentiment of Yelp reviews (1 = negative, 2 = positive)",
        "https://course.fast.ai/datasets",
    ),
    _text(
        "rte",
        "glue/rte",
        "2.0.0",
        "sentence1 sentence2",
        "entailment not_entailment",
        "train validation",
        "RTE 1, 2, 3 and 5 (GLUE): textual entailment",
        _GLUE,
    ),
    _text(
        "scitail",
        "sci_tail",
        "1.0.0",
        "premise hypothesis",
        "entails neutral",
        "train validation test",
        "Khot et al. 2018: entailment in questions about science",
        "https://allenai.org/data/scitail",
    ),
    _text(
        "mrpc",
        "glue/mrpc",
        "2.0.0",
        "sentence1 sentence2",
        "not_equivalent equivalent",
        "train validation",
        "Dolan and Brockett 2005 (GLUE): paraphrases in news",
        _GLUE,
    ),
    _text(
        "qqp",
        "glue/qqp",
        "2.0.0",
        "question1 question2",
        "not_duplicate duplicate",
        "train validation",
        "Quora 2017 (GLUE): questions that ask the same",
        _GLUE,
    ),
    _text(
        "mnli",
        "glue/mnli",
        "2.0.0",
        "premise hypothesis",
        _NLI,
        "train validation_matched validation_mismatched",
        "Williams et al. 2018 (GLUE): inference over ten genres",
        _GLUE,
    ),
    _text(
        "snli",
        "snli",
        "1.1.0",
        "premise hypothesis",
        _NLI,
        "train validation test",
        "Bowman et al. 2015: inference over captions of pictures",
        "https://nlp.stanford.edu/projects/snli",
    ),
)
CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}

CIFAR10_C = "cifar10_c"
SEVERITIES = range(1, 6)
# File of CIFAR-10-C, by its name in TFDS.
CORRUPTIONS = {
    "gaussian_noise": "gaussian_noise",
    "shot_noise": "shot_noise",
    "impulse_noise": "impulse_noise",
    "defocus_blur": "defocus_blur",
    "frosted_glass_blur": "glass_blur",
    "motion_blur": "motion_blur",
    "zoom_blur": "zoom_blur",
    "snow": "snow",
    "frost": "frost",
    "fog": "fog",
    "brightness": "brightness",
    "contrast": "contrast",
    "elastic": "elastic_transform",
    "pixelate": "pixelate",
    "jpeg_compression": "jpeg_compression",
    "gaussian_blur": "gaussian_blur",
    "saturate": "saturate",
    "spatter": "spatter",
    "speckle_noise": "speckle_noise",
}


def entry_of(name: str) -> Entry:
    """Returns the entry called `name`.

    CIFAR-10-C is 95 data sets, "cifar10_c/CORRUPTION_SEVERITY".

    Raises:
        JsplitError: if there is no such entry.

    Example:
        >>> from jsplit.data.catalogue import entry_of
        >>> entry_of("cifar10_c/fog_3").tfds
        'cifar10_corrupted/fog_3'
    """
    family, _, config = str(name).partition("/")
    if family != CIFAR10_C:
        return CATALOGUE[checks.choice("name", name, [*CATALOGUE, CIFAR10_C])]
    corruption, _, severity = config.rpartition("_")
    if corruption not in CORRUPTIONS or severity not in map(str, SEVERITIES):
        raise JsplitError(
            f"name must be {CIFAR10_C}/CORRUPTION_SEVERITY, such as {CIFAR10_C}/fog_3, "
            f"severity 1 to 5, corruption one of {', '.join(CORRUPTIONS)}; "
            f"got {checks.shown(name)}"
        )
    entry = _image(
        name,
        "1.0.0",
        _CIFAR10_SHAPE,
        _CIFAR10,
        f"Hendrycks and Dietterich 2019: CIFAR-10 with {corruption}, {severity} of 5",
        "https://zenodo.org/records/2535967",
        f"cifar10_corrupted/{config}",
    )
    return dataclasses.replace(entry, splits=("test",))


def folder_entry(name: str) -> Entry:
    """Returns the entry of somebody's own images, prepared from a folder."""
    return _image(name, "1.0.0", None, "", "images of your own", "")
