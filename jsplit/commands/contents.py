"""What `jsplit --help` shows, before anything else is imported: it is there at once.

Here: the commands, where each is, and one line about it, which is the first line of its
own help. Not here: what the commands take (their own files).
"""

import dataclasses
import importlib
import shutil
import textwrap
from collections.abc import Sequence

ABOUT = "Judge split-computing and early-exit policies."


@dataclasses.dataclass(frozen=True)
class Entry:
    """A command in the list.

    Attributes:
        home: its module and class, as in "evaluate.Evaluate".
        about: what it does, one line.
    """

    home: str
    about: str

    def load(self) -> type:
        """Returns the dataclass of the command."""
        module, name = self.home.split(".")
        return getattr(importlib.import_module(f"jsplit.commands.{module}"), name)


COMMANDS = {
    "quickstart": Entry(
        "quickstart.Quickstart",
        "Train, record, replay and compare on real images, in about a minute.",
    ),
    "data": Entry(
        "data.Data", "List, check and prepare data sets; learn a vocabulary."
    ),
    "train": Entry(
        "train.Train",
        "Train all exits of a network together and keep it in a folder.",
    ),
    "record": Entry(
        "record.Record",
        "Run a trained network once over a data set and keep what every exit said.",
    ),
    "evaluate": Entry(
        "evaluate.Evaluate", "Replay policies on a recorded trace and compare them."
    ),
    "sweep": Entry(
        "sweep.Sweep", "Evaluate policies for every combination of settings."
    ),
    "merge": Entry("cluster.Merge", "Put the folders of a sweep's shares together."),
    "policies": Entry(
        "policies.Policies",
        "List the policies, what they do and the numbers they take.",
    ),
    "bench": Entry("bench.Bench", "Measure how fast jsplit is, as ratios in one run."),
}


def asks_for_contents(arguments: Sequence[str]) -> bool:
    """Tells whether the words behind `jsplit` ask which commands there are."""
    return arguments[:1] in (["--help"], ["-h"])


def contents() -> str:
    """Returns the commands, a line or two each, as wide as the terminal."""
    width = min(shutil.get_terminal_size().columns, 100)
    indent = max(map(len, COMMANDS)) + 4

    def line(name: str, about: str) -> str:
        return textwrap.fill(
            about,
            width,
            initial_indent=f"  {name}".ljust(indent),
            subsequent_indent=" " * indent,
        )

    lines = [line(name, one.about) for name, one in COMMANDS.items()]
    return "\n".join(
        [
            "usage: jsplit COMMAND ...",
            "",
            ABOUT,
            "",
            *lines,
            "",
            "  jsplit COMMAND --help   what a command takes, with examples",
            "  jsplit --version        which jsplit this is, and what it runs with",
        ]
    )
