"""The `jsplit` command: parse, run one subcommand, end in one clear line on an error.

Here: the list of subcommands and what happens to errors. Not here: the subcommands
themselves (`commands`). Errors a user can mend end in exit status 2.
"""

import contextlib
import inspect
import io
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tyro

from jsplit import checks
from jsplit.commands.bench import Bench
from jsplit.commands.cluster import Merge
from jsplit.commands.data import Data
from jsplit.commands.evaluate import Evaluate
from jsplit.commands.policies import Policies
from jsplit.commands.quickstart import Quickstart
from jsplit.commands.record import Record
from jsplit.commands.stopping import Terminated, say_farewell
from jsplit.commands.sweep import Sweep
from jsplit.commands.sweep_file import with_file
from jsplit.commands.train import Train, with_preset
from jsplit.extras import naming
from jsplit.types import JsplitError
from jsplit.version import versions

ABOUT = (
    "Judge split-computing and early-exit policies. --version tells which jsplit this "
    "is, and what it runs with."
)
COMMANDS: dict[str, type] = {
    "quickstart": Quickstart,
    "data": Data,
    "train": Train,
    "record": Record,
    "evaluate": Evaluate,
    "sweep": Sweep,
    "merge": Merge,
    "policies": Policies,
    "bench": Bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status.

    Raises:
        SystemExit: from the parser, for --help.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a file in a code page of Windows
    try:
        if arguments[:1] == ["--version"]:
            own, *others = map(" ".join, versions().items())
            print(f"{own} ({', '.join(others)})")
        else:
            command = _parse(arguments)
            with naming(arguments[0]):
                command.run()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; nothing more may be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as rich, which writes the tables
    except (JsplitError, ImportError, OSError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"jsplit: {reason}", file=sys.stderr)
        return 2
    except RuntimeError as error:  # XLA's, whose class is private
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        print(
            "jsplit: the devices are out of memory; try fewer replicas or samples, or "
            "smaller batches",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt as stop:
        number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
        say_farewell(number)
        return 128 + number
    return 0


def _parse(
    arguments: Sequence[str],
    commands: Mapping[str, type] = COMMANDS,
    path: str = "jsplit",
    about: str = ABOUT,
) -> Any:
    """Returns the subcommand with its options filled in.

    Args:
        arguments: what stands behind `path`.
        commands: what may come first; those with `ACTIONS` have more below them.
        path: the commands before.
        about: what the help says of them.

    Raises:
        JsplitError: if they cannot be parsed, in one line instead of tyro's box.
    """
    here = path
    if arguments and not arguments[0].startswith("-"):
        name = checks.choice(
            f"{path} command".removeprefix("jsplit "), arguments[0], commands
        )
        here = f"{path} {name}"
        below = getattr(commands[name], "ACTIONS", None)
        if below is not None:
            about = inspect.getdoc(commands[name]) or ""
            return _parse(arguments[1:], below, here, about)
    if "train" in commands:
        arguments, with_fields = with_file(arguments)
        commands = {
            **commands,
            "train": with_preset(arguments),
            "sweep": with_fields,
        }
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(
                dict(commands), prog=path, description=about, args=arguments
            )
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        # One of our dataclasses may have refused a value, in its own words.
        cause = stop.__context__
        while cause is not None and not isinstance(cause, JsplitError):
            cause = cause.__context__
        sentence = _first_sentence(said.getvalue())
        raise cause or JsplitError(f"{sentence}; see {here} --help") from None


def _first_sentence(box: str) -> str:
    """Returns what tyro's framed message says before its first rule.

    Args:
        box: the message, lines framed by box-drawing characters.
    """
    lines: list[str] = []
    for line in box.splitlines()[1:]:  # the first is a title
        inside = line.strip(" |│")
        if set(inside) <= set("+-─╰╯"):  # a rule
            if lines:
                break  # what follows repeats the help
        else:
            lines.append(inside)
    text = " ".join(" ".join(lines).split()).replace(" .", ".").rstrip(".")
    return re.sub(r" \(applied to [^)]*\)", "", text)  # said of each word
