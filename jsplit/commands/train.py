"""`jsplit train`."""

import ast
import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

from jsplit.commands.common import AsJson, Seed, make_folder, print_json
from jsplit.types import JsplitError

Presets = Literal["isplitee", "splitee"]


@dataclasses.dataclass(frozen=True)
class Train:
    """Train all exits of a network together and keep it in a folder.

    The folder gets model.safetensors, model.json and, for texts, vocab.txt. A training
    that was interrupted or killed goes on when the same command is given again, and
    ends with the same weights; a finished one is not repeated. What is not given is
    the preset's, or the default in parentheses.

    Example: jsplit train cifar10 --model mobilenet_v2 --set width=0.5 --out mobilenet
    """

    dataset: tyro.conf.Positional[str]
    """Data set, see `jsplit data list`, or digits."""
    out: pathlib.Path
    """Folder of the model."""
    model: str = "cnn"
    """Name of the network."""
    arguments: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(name="set", metavar="NAME=VALUE"),
    ] = ()
    """What its class takes, such as width=0.5; may be repeated."""
    split: str = "train"
    """Split to train on, or a slice such as train[:90%]."""
    data_dir: pathlib.Path | None = None
    """Folder of prepared data sets."""
    preset: Presets | None = None
    """Published settings: I-SplitEE's MobileNetV2 or SplitEE's ElasticBERT."""
    epochs: int | None = None
    """Passes over the data (30)."""
    batch_size: int | None = None
    """Samples per step (64)."""
    optimizer: Literal["adamw", "adam", "sgd"] | None = None
    """AdamW, Adam with L2, or SGD with momentum 0.9 (adamw)."""
    learning_rate: float | None = None
    """Highest learning rate (0.01)."""
    head_learning_rate: float | None = None
    """That of the heads (the same)."""
    weight_decay: float | None = None
    """Weight decay (0.0001)."""
    decay: Literal["weights", "all"] | None = None
    """Whether biases and the scales of norms decay too (weights: no)."""
    schedule: Literal["cosine", "linear", "constant"] | None = None
    """How the learning rate falls (cosine)."""
    warmup: float | None = None
    """Share of the steps in which it rises (0.1)."""
    clip_norm: float | None = None
    """Longest gradient (no limit)."""
    exit_weights: tuple[float, ...] | None = None
    """Weight of each exit's loss (all equal, sum 1)."""
    label_smoothing: float | None = None
    """Share of each target spread over all classes (0)."""
    augment: Literal["none", "crop", "crop_flip"] | None = None
    """Random shifts of 4 pixels, and mirror images (none)."""
    bf16: bool = False
    """Compute in bfloat16, keep float32 weights."""
    validation: float = 0.1
    """Share of the samples held out to measure on; 0 for none."""
    patience: int | None = None
    """Stop after so many epochs without progress there, keep the best weights."""
    max_minutes: float | None = None
    """Stop at this time; weights then depend on the machine."""
    vocab: pathlib.Path | None = None
    """A vocab.txt, for texts."""
    vocab_size: int | None = None
    """Learn a WordPiece vocabulary of this size from the texts instead."""
    max_length: int = 128
    """Tokens of a text."""
    image_size: int | None = None
    """Pixels to resize images to, where they differ in size."""
    init_weights: pathlib.Path | None = None
    """Folder of a model of the same shapes, or published weights, to start from."""
    devices: int | None = None
    """Devices to train on, dividing the batch (all accelerators, or one CPU device)."""
    fresh: bool = False
    """Start over: remove what a training left in the folder."""
    seed: Seed = 0
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the training."""
        import rich
        from rich.table import Table

        from jsplit.training import job
        from jsplit.training.loop import Interrupted

        settings = self._settings()
        wanted = job.Job(
            dataset=self.dataset,
            model=self.model,
            settings=settings,
            arguments=parse_arguments(self.arguments),
            split=self.split,
            data_dir=self.data_dir,
            image_size=self.image_size,
            max_length=self.max_length,
            vocab=self.vocab,
            vocab_size=self.vocab_size,
            init_weights=self.init_weights,
        )
        make_folder(self.out)
        try:
            done = job.run(
                wanted,
                self.out,
                fresh=self.fresh,
                num_devices=self.devices,
                say=lambda line: print(f"{line} ...", file=sys.stderr),
            )
        except Interrupted:
            again = "the same command, without --fresh," if self.fresh else "it again"
            print(f"jsplit: saved in {self.out}; {again} goes on", file=sys.stderr)
            raise
        log = done.meta["log"]
        if self.as_json:
            print_json({"out": str(self.out), "is_new": done.is_new, **done.meta})
            return
        held_out = log["best_epoch"] and settings.patience
        row = log["best_epoch"] - 1 if held_out else -1
        table = Table("exit", "training accuracy", "held-out accuracy")
        for i in range(done.model.num_exits):
            cells = [f"{log['accuracy'][row][i]:.4f}"] if log["accuracy"] else ["-"]
            judged = log["validation_accuracy"]
            cells.append(f"{judged[row][i]:.4f}" if judged else "-")
            table.add_row(str(i + 1), *cells)
        rich.print(table)
        state = "trained" if done.is_new else "was trained before"
        print(
            f"{self.out} {state}: {len(log['loss'])} epochs, {log['seconds']:.0f} s, "
            f"ended by {log['stopped']}"
        )

    def _settings(self) -> Any:
        """Returns the preset's settings with those that were given."""
        from jsplit.training.settings import Settings, make_settings

        given = {**vars(self), "num_epochs": self.epochs}
        names = {field.name for field in dataclasses.fields(Settings)}
        said = {k: v for k, v in given.items() if k in names and v is not None}
        return make_settings(self.preset, **said)


def parse_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Returns NAME=VALUE texts as a dictionary; what is no literal stays a text.

    Raises:
        JsplitError: A text has no "=".

    Example:
        >>> from jsplit.commands.train import parse_arguments
        >>> parse_arguments(["width=0.5", "stem=cifar", "widths=(4, 8)"])
        {'width': 0.5, 'stem': 'cifar', 'widths': (4, 8)}
    """
    arguments = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise JsplitError(f"set must be NAME=VALUE, got {text!r}")
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[name] = value
    return arguments
