"""`jsplit train`."""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated

import tyro

from jsplit.commands.common import AsJson, Quiet, print_json, stages
from jsplit.commands.stopping import advising
from jsplit.grammar import parse_settings
from jsplit.training.request import Job
from jsplit.training.settings import PRESETS, Preset, Settings, make_settings
from jsplit.writing import make_folder


@dataclasses.dataclass(frozen=True)
class Train:
    """Train all exits of a network together and keep it in a folder.

    The folder gets model.safetensors, model.json and, for texts, vocab.txt. A training
    that was interrupted or killed goes on when the same command is given again, and
    ends with the same weights; a finished one is not repeated.

    Example: jsplit train cifar10 --model mobilenet_v2 --set width=0.5 --out mobilenet
    """

    job: Annotated[Job, tyro.conf.OmitArgPrefixes]
    out: pathlib.Path
    """folder of the model."""
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="NAME=VALUE"),
    ] = ()
    """what the network's class takes, such as width=0.5."""
    preset: Preset | None = None
    """published settings, I-SplitEE's MobileNetV2 or SplitEE's ElasticBERT: what is not
    given is then theirs."""
    devices: int | None = None
    """devices to train on, dividing the batch. None: all accelerators, or one device of
    a CPU."""
    fresh: bool = False
    """start over: remove what a training left in the folder."""
    quiet: Quiet = False
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the training."""
        import rich
        from rich.table import Table

        from jsplit.training import job

        wanted = dataclasses.replace(
            self.job, arguments=parse_settings("set", self.set)
        )
        make_folder(self.out, "out")
        again = "it, without --fresh," if self.fresh else "it"
        with advising(f"what is trained is in {self.out}; {again} goes on from there"):
            done = job.run(
                wanted,
                self.out,
                fresh=self.fresh,
                num_devices=self.devices,
                progress=not self.quiet,
                say=stages(self.quiet),
            )
        log = done.meta["log"]
        if self.as_json:
            print_json({"out": str(self.out), "is_new": done.is_new, **done.meta})
            return
        held_out = log["best_epoch"] and wanted.settings.patience
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


def with_preset(arguments: Sequence[str]) -> type[Train]:
    """Returns `Train` with the settings of the preset that is asked for as defaults.

    So what is given wins over the preset, and the help shows the preset's values.

    Args:
        arguments: those behind `jsplit train`.
    """
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", nargs="?")
    preset = finder.parse_known_args(arguments)[0].preset
    if preset not in PRESETS:
        return Train  # none, or one that the parser refuses
    settings = make_settings(preset)
    job = dataclasses.make_dataclass(
        "Job",
        [("settings", Settings, settings)],
        bases=(Job,),
        frozen=True,
        namespace={"__doc__": Job.__doc__},
    )
    return dataclasses.make_dataclass(
        "Train",
        [("job", Annotated[job, tyro.conf.OmitArgPrefixes])],
        bases=(Train,),
        frozen=True,
        namespace={"__doc__": Train.__doc__},
    )
