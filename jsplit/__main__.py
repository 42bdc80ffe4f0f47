"""Entry point of the `jsplit` command and of `python -m jsplit`."""

import sys

from jsplit import cli
from jsplit.commands.compiled import keep_compiled
from jsplit.commands.stopping import stoppable


def main() -> int:
    """Runs the command line as a process of its own and returns its exit status."""
    keep_compiled()
    # A training saves its state first, and a step of a large network takes a while.
    with stoppable(patient=sys.argv[1:2] == ["train"]):
        return cli.main()


if __name__ == "__main__":
    sys.exit(main())
