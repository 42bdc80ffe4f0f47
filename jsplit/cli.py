"""The `jsplit` command: parse, run one subcommand, end in one clear line on an error.

Here: from words to one subcommand, and what happens to errors. Not here: the list of
subcommands (`commands.contents`) and they themselves (`commands`). Errors a user can
mend end in exit status 2.
"""

import contextlib
import inspect
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from jsplit import checks
from jsplit.commands.contents import COMMANDS, asks_for_contents, contents
from jsplit.commands.stopping import end
from jsplit.extras import naming
from jsplit.types import JsplitError
from jsplit.version import versions


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
        elif asks_for_contents(arguments):
            print(contents())
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
        return end(stop)
    return 0


def _parse(arguments: Sequence[str]) -> Any:
    """Returns the subcommand with its options filled in.

    Raises:
        JsplitError: if they cannot be parsed, in one line instead of tyro's box.
    """
    if not arguments:
        raise JsplitError(
            f"command must be one of {', '.join(COMMANDS)}, got nothing; see jsplit "
            "--help"
        )
    name, *words = arguments
    command = COMMANDS[checks.choice("command", name, COMMANDS)].load()
    if name == "train":
        from jsplit.commands.train import with_preset

        command = with_preset(words)
    elif name == "sweep":
        from jsplit.commands.sweep_file import with_file

        words, command = with_file(words)
    return _filled(command, words, f"jsplit {name}")


def _filled(command: type, words: Sequence[str], path: str) -> Any:
    """Returns a dataclass filled in from words.

    Args:
        command: it; one with `ACTIONS` stands for those below it.
        words: what stands behind `path`.
        path: what was typed before.
    """
    actions = getattr(command, "ACTIONS", None)
    if actions is not None and words and not words[0].startswith("-"):
        name = checks.choice(
            f"{path.removeprefix('jsplit ')} command", words[0], actions
        )
        return _filled(actions[name], words[1:], f"{path} {name}")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            if actions is None:
                return tyro.cli(command, prog=path, args=words)
            return tyro.extras.subcommand_cli_from_dict(
                dict(actions),
                prog=path,
                description=inspect.getdoc(command),
                args=words,
            )
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        # One of our dataclasses may have refused a value, in its own words.
        cause = stop.__context__
        while cause is not None and not isinstance(cause, JsplitError):
            cause = cause.__context__
        sentence = _first_sentence(said.getvalue())
        if sentence.startswith("Unrecognized"):  # words, which tyro lists as values
            sentence = sentence.replace(", ", " ")
        raise cause or JsplitError(f"{sentence}; see {path} --help") from None


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
