"""The base install replays tables, and what needs an extra names it in one line."""

import collections
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest
from test_architecture import IMPORTS

from jsplit.extras import EXTRA_OF, MissingExtra, lazily, naming

ROOT = pathlib.Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def normal(requirement):
    """The name that a requirement asks for, as package indexes compare names."""
    name = re.match(r"[\w.-]+", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


# What a base install says, as JSON: libraries of the extras are not found. Much of it
# is as on Windows, too: what only POSIX has is gone once the libraries of others, which
# ask what they run on, are loaded, and the code page has no dagger.
BASE = """
import importlib.machinery, json, os, signal, sys

hidden, posix, commands, names = json.loads(sys.argv[1])

class Installed(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        found = name.partition(".")[0] not in hidden
        return super().find_spec(name, path, target) if found else None

at = sys.meta_path.index(importlib.machinery.PathFinder)
sys.meta_path[at] = Installed

import jax, numpy, pandas, rich.console, scipy.io, scipy.special, tyro, xarray

hidden += posix
for name in hidden:
    sys.modules.pop(name, None)
for name in ("fork", "getuid", "sched_getaffinity", "sysconf", "uname"):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1"):
    delattr(signal, name)

import contextlib, io
from jsplit.cli import main
from jsplit.extras import MissingExtra

said = []
for command in commands:
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        said.append([main(command.split()), errors.getvalue()])
for name in names:
    try:
        exec(name, {"jsplit": sys.modules["jsplit"]})
        said.append("fine")
    except MissingExtra as error:
        said.append(str(error))
with open("said.json", "w") as file:
    json.dump(said, file)
"""
# Libraries that the extras bring with them, and that xarray looks for.
BROUGHT = ["dask"]
POSIX = ["fcntl", "grp", "pwd", "resource", "termios"]

COMMANDS = {
    "evaluate small.csv oracle --num-replicas 8 --quiet --out out": (
        "cost_accuracy needs matplotlib"
    ),
    "train digits --out m": "needs flax",
    "record m digits --out a.npz": "needs flax",
    "quickstart --out q": "needs flax",
    "bench models": "needs flax",
    "evaluate small.parquet": "reading Parquet needs pyarrow",
}
TOKENS = [f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")]
NAMES = {
    "jsplit.models": "jsplit.models needs flax",
    "from jsplit.models import CNN": "jsplit.models needs flax",
    "jsplit.record": "jsplit.recording.record needs flax",
    "jsplit.train": "jsplit.training.train needs flax",
    "jsplit.report.cost_accuracy": "jsplit.report.cost_accuracy needs matplotlib",
    f"jsplit.data.Tokenizer({TOKENS})": "jsplit.data.Tokenizer needs tokenizers",
    "from jsplit.data.images import checked; checked(b'', '')": (
        "reading images needs PIL"
    ),
    "from jsplit.data.read import _array_record; _array_record()": (
        "reading prepared data needs array_record"
    ),
    "jsplit.report.to_markdown": "fine",
    "jsplit.load_result('out/result.nc.gz')": "fine",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder that a base install ran in, standard output, and all else it said."""
    folder = tmp_path_factory.mktemp("base")
    rows = ["sample,exit,confidence,prediction,label"]
    for sample in range(12):
        for i in range(3):
            confidence = 0.4 + 0.2 * i + 0.01 * sample
            rows.append(f"{sample},{i + 1},{confidence},{sample % (3 - i)},0")
    (folder / "small.csv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "small.parquet").write_bytes(b"PAR1")
    hidden = [*EXTRA_OF, *BROUGHT]
    arguments = json.dumps([hidden, POSIX, [*COMMANDS], [*NAMES]])
    done = subprocess.run(
        [sys.executable, "-c", BASE, arguments],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "gbk"},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode("gbk")
    said = json.loads((folder / "said.json").read_text())
    asked = [*COMMANDS, *NAMES]
    return folder, done.stdout.decode("gbk"), dict(zip(asked, said, strict=True))


def with_extra(said):
    extra = EXTRA_OF.get(said.split()[-1])
    return said if extra is None else f'{said}: pip install "jsplit[{extra}]"'


def test_evaluate_of_a_table_prints_and_writes_all_but_figures(base):
    folder, printed, _ = base
    assert "oracle?" in printed  # rather than an error after all the work
    written = {path.name for path in (folder / "out").iterdir()}
    assert written == {"evaluation.json", "result.nc.gz", "table.csv", "table.md"}
    assert "oracle†" in (folder / "out" / "table.md").read_text("utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_says_what_it_needs_in_one_line(base, command):
    status, errors = base[2][command]
    is_done = "--num-replicas" in command
    assert status == (0 if is_done else 2)
    (line,) = errors.splitlines()
    assert line.startswith("no figures: " if is_done else "jsplit: ")
    assert line.endswith(with_extra(COMMANDS[command]))


@pytest.mark.parametrize("name", NAMES)
def test_name_says_what_it_needs(base, name):
    assert base[2][name] == with_extra(NAMES[name])


def test_what_no_extra_brings_or_mends_is_not_masked():
    broken = [
        ModuleNotFoundError("No module named 'flux'", name="flux"),
        ModuleNotFoundError("No module named 'flax.nnx'", name="flax.nnx"),
        ImportError("libstdc++.so is too old", name="matplotlib"),
        AttributeError("flax"),
    ]
    for error in broken:
        with pytest.raises(type(error)) as found, naming("jsplit.models"):
            raise error
        assert found.value is error
        assert not isinstance(error, MissingExtra)


def test_lazy_names_are_only_those_given():
    with pytest.raises(AttributeError, match=r"'jsplit\.report' has no .* 'plot'"):
        lazily("jsplit.report", {"render": "tables"})("plot")


def test_every_library_comes_with_the_install_or_an_extra():
    """But torch and transformers, which networks are only compared with."""
    base = {"jax", "numpy", "scipy", "xarray", "rich", "tyro"}
    assert {normal(one) for one in PROJECT["dependencies"]} == base
    used = {one.name.split(".")[0] for found in IMPORTS.values() for one in found}
    others = used - set(sys.stdlib_module_names) - base - {"jsplit", "ml_dtypes"}
    others -= {"pandas"}  # which xarray brings
    assert others <= set(EXTRA_OF)


@pytest.mark.parametrize("library", EXTRA_OF)
def test_extra_brings_its_library(library):
    asked = PROJECT["optional-dependencies"][EXTRA_OF[library]]
    owners = importlib.metadata.packages_distributions().get(library, [library])
    assert {normal(one) for one in owners} & {normal(one) for one in asked}


def test_extras_bring_nothing_that_is_not_named():
    extras = PROJECT["optional-dependencies"]
    for extra, number in collections.Counter(EXTRA_OF.values()).items():
        libraries = [one for one in extras[extra] if not one.startswith("jsplit[")]
        assert len(libraries) == number, extra
    (everything,) = extras["all"]
    assert everything == "jsplit[plot,models,data,parquet]"
