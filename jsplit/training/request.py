"""What to train on what, as one frozen dataclass; `jsplit train` is made from it.

Here: the choices of a job and their defaults. Not here: the job (`training.job`), how
to train (`training.settings`). Loads neither flax nor optax.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any

import tyro

from jsplit.training.settings import Settings


@dataclasses.dataclass(frozen=True)
class Job:
    """What to train on what.

    Attributes:
        dataset: name of a data set, see `jsplit data list`.
        model: name of the network.
        split: split to train on, or a slice such as train[:90%].
        data_dir: folder of prepared data sets.
        image_size: pixels to resize images to, where they differ in size.
        max_length: tokens of a text; longer ones are cut.
        vocab: a vocab.txt, for texts.
        vocab_size: tokens of a WordPiece vocabulary to learn from the texts instead.
        init_weights: what to start from: the folder of a model of the same shapes, or
            published weights; exits that they lack start at random.
        settings: how to train.
        arguments: what the network's class takes; sizes that the data fix are filled
            in where they are not given.
    """

    dataset: tyro.conf.Positional[str]
    model: str = "cnn"
    split: str = "train"
    data_dir: pathlib.Path | None = None
    image_size: int | None = None
    max_length: int = 128
    vocab: pathlib.Path | None = None
    vocab_size: int | None = None
    init_weights: pathlib.Path | None = None
    settings: Settings = dataclasses.field(default_factory=Settings)
    # The command line writes them as --set NAME=VALUE.
    arguments: Annotated[Mapping[str, Any], tyro.conf.Fixed, tyro.conf.Suppress] = (
        dataclasses.field(default_factory=dict)
    )
