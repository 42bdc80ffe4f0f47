"""What to record, as one frozen dataclass; `jsplit record` is made from it.

Here: the choices of a job and their defaults. Not here: the job (`recording.job`).
Does not load flax.
"""

import dataclasses
import pathlib
from typing import Annotated

import tyro


@dataclasses.dataclass(frozen=True)
class Job:
    """What to record.

    Attributes:
        model: folder of the network, with a vocab.txt where it reads texts.
        dataset: name of a data set, see `jsplit data list`.
        split: split to record, or a slice such as test[:1000].
        distort: distortions of the images, such as blur=0.8, applied in this order:
            blur, noise, contrast, brightness or jpeg.
        quantise: bits of the activation that is shipped at a split, 1 to 16. None:
            shipped as it is.
        calibrate: split to fit a temperature per exit on, not distorted, such as
            train[90%:]. None: no temperatures.
        keep_logits: keep the logits in the trace, for a calibration later.
        max_length: tokens of a text, up to those the network was made for. None: as in
            training.
        data_dir: folder of prepared data sets.
        batch_size: samples per call of the network. None: at most 1,024, fewer of large
            activations.
        seed: seed of the noise, >= 0.
    """

    model: tyro.conf.Positional[pathlib.Path]
    dataset: tyro.conf.Positional[str]
    split: str = "test"
    distort: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="NAME=LEVEL"),
    ] = ()
    quantise: int | None = None
    calibrate: str | None = None
    keep_logits: bool = False
    max_length: int | None = None
    data_dir: pathlib.Path | None = None
    batch_size: int | None = None
    seed: int = 0
