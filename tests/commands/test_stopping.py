"""Signals end the command with one line, also while nothing of Python runs."""

import os
import signal
import subprocess
import sys

import pytest

# Hashing runs outside of Python for hours, as a compilation does for seconds.
BODY = """
import hashlib, pathlib, sys
from jsplit import cli, writing
from jsplit.commands import stopping
from jsplit.types import JsplitError

def main(how, folder):
    with stopping.advising("finished parts are kept"):
        with writing.replacing(pathlib.Path(folder, "a.txt")) as temporary:
            temporary.write_text("half")
            print("ready", flush=True)
            if how == "native":
                hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
            while True:
                pass

class Command:
    def run(self):
        main(*sys.argv[1:])

cli._parse = lambda arguments: Command()
with stopping.stoppable():
    sys.exit(cli.main(["evaluate"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["python", "native"])
@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")],
)
def test_a_signal_ends_the_command_with_one_line(tmp_path, how, number, word):
    command = [sys.executable, "-c", BODY, how, str(tmp_path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert error == f"jsplit: {word}; finished parts are kept\n"
    assert process.returncode == 128 + number
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("chosen", ["off", "folder"])
def test_compiled_programs_are_kept_where_the_user_says(tmp_path, chosen):
    folder = tmp_path / "compiled"
    told = "off" if chosen == "off" else str(folder)
    environment = {k: v for k, v in os.environ.items() if "COMPILATION_CACHE" not in k}
    environment["JSPLIT_COMPILED"] = told
    environment["XDG_CACHE_HOME"] = str(tmp_path / "home")
    code = (
        "from jsplit.commands.compiled import keep_compiled; keep_compiled();"
        "import jax;"
        "print(jax.config.jax_compilation_cache_dir)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    where = found.stdout.strip()
    assert (where == "None") == (chosen == "off"), found
    assert where == "None" or where.startswith(str(folder))
