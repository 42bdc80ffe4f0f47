"""The `jsplit` command: parse, run one subcommand, end in one clear line on an error.

Here: the list of subcommands and what happens to errors. Not here: the subcommands
themselves (`commands`). Errors a user can mend end in exit status 2.
"""

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from jsplit import checks
from jsplit.commands.bench import Bench
from jsplit.commands.data import Data
from jsplit.commands.evaluate import Evaluate
from jsplit.commands.policies import Policies
from jsplit.commands.quickstart import Quickstart
from jsplit.commands.record import Record
from jsplit.commands.train import Train
from jsplit.extras import naming
from jsplit.types import JsplitError

COMMANDS: dict[str, type] = {
    "quickstart": Quickstart,
    "data": Data,
    "train": Train,
    "record": Record,
    "evaluate": Evaluate,
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
    except KeyboardInterrupt:
        print("jsplit: interrupted", file=sys.stderr)
        return 130
    return 0


def _parse(arguments: Sequence[str]) -> Any:
    """Returns the subcommand with its options filled in.

    Raises:
        JsplitError: for what cannot be parsed, in one line instead of tyro's box.
    """
    if arguments and not arguments[0].startswith("-"):
        checks.choice("command", arguments[0], COMMANDS)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="jsplit",
                description="Judge split-computing and early-exit policies.",
                args=arguments,
            )
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        raise JsplitError(_first_sentence(said.getvalue(), arguments)) from None


def _first_sentence(box: str, arguments: Sequence[str]) -> str:
    """Returns what tyro's framed message says before its first rule, and where to look.

    Args:
        box: the message, lines framed by box-drawing characters.
        arguments: the arguments it is about.
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
    known = [name for name in arguments[:1] if name in COMMANDS]
    return f"{text}; see {' '.join(['jsplit', *known, '--help'])}"
