"""What a training has done so far, and what it hands back at the end.

Here: the record kept from epoch to epoch, JSON-able, and its final form as arrays. Not
here: how it is measured (`loop`).
"""

import dataclasses
from typing import Literal

import numpy as np

Stopped = Literal["num_epochs", "patience", "max_minutes"]


@dataclasses.dataclass
class History:
    """Grows with every epoch; stored with every checkpoint.

    Attributes:
        step: steps taken.
        seconds: wall time of all runs so far.
        stopped: why the training is over, or None.
        best_epoch: epoch, from 1, of the lowest validation loss; 0 before the first.
        loss: mean joint loss of the training batches of each epoch.
        accuracy: accuracy of each exit on them.
        validation_loss: joint loss, not smoothed, of the samples held out.
        validation_accuracy: accuracy of each exit on them.
    """

    step: int = 0
    seconds: float = 0.0
    stopped: Stopped | None = None
    best_epoch: int = 0
    loss: list[float] = dataclasses.field(default_factory=list)
    accuracy: list[list[float]] = dataclasses.field(default_factory=list)
    validation_loss: list[float] = dataclasses.field(default_factory=list)
    validation_accuracy: list[list[float]] = dataclasses.field(default_factory=list)

    def log(self, num_exits: int) -> "TrainLog":
        """Returns the record as arrays."""

        def table(rows: list[list[float]]) -> np.ndarray:
            return np.asarray(rows, np.float32).reshape(len(rows), num_exits)

        return TrainLog(
            loss=np.asarray(self.loss, np.float32),
            accuracy=table(self.accuracy),
            validation_loss=np.asarray(self.validation_loss, np.float32),
            validation_accuracy=table(self.validation_accuracy),
            best_epoch=self.best_epoch,
            stopped=self.stopped or "num_epochs",
            seconds=self.seconds,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class TrainLog:
    """What happened, epoch by epoch.

    Attributes:
        loss: [epochs] float32 mean joint loss of the training batches as they came.
        accuracy: [epochs, L] float32 share of correct answers of each exit on them.
        validation_loss: [epochs] float32 joint loss, not smoothed, of the samples held
            out; [0] if none were.
        validation_accuracy: [epochs, L] float32 on them; [0, L] if there were none.
        best_epoch: epoch, from 1, of the lowest validation loss; 0 without validation.
        stopped: what ended the training: "num_epochs", "patience" or "max_minutes".
        seconds: wall time of the whole training, compiling included.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    validation_loss: np.ndarray
    validation_accuracy: np.ndarray
    best_epoch: int
    stopped: Stopped
    seconds: float
