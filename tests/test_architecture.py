"""The imports of jsplit, read from its source, against the table in its docstring."""

import ast
import functools
import importlib
import inspect
import os
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

import pytest

import jsplit

pytestmark = pytest.mark.core

ROOT = pathlib.Path(jsplit.__file__).parent

ABOVE = {"", "__main__"}  # they show or start everything, and have no row


def rows():
    """Which packages and modules each one sees, by name, from the table in jsplit."""
    table = inspect.getdoc(jsplit).split("(a test reads this table):\n\n")[1]
    table = re.sub(r"\n +", " ", table)
    found = {}
    for line in table.splitlines():
        name, _, about = line.partition(" ")
        _, bar, sees = about.partition("|")
        assert bar, line
        found[name] = sees.split()
    return found


ROWS = rows()
# Who may import what is heavy or belongs in one place.
ONLY_IN = {
    "xarray": {"results"},
    "matplotlib": {"report.figures"},
    "flax": {"models", "training", "recording", "quickstart", "bench.models"},
    "optax": {"training"},
    "orbax": {"training.checkpoint"},
    "tensorflow_datasets": {"data"},
    "PIL": {"data"},
    "tokenizers": {"data"},
    "tyro": {"commands", "cli", "training.request", "recording.request"},
}
HEAVY = [
    "flax",
    "optax",
    "tensorflow_datasets",
    "PIL",
    "tokenizers",
    "xarray",
    "matplotlib",
    "pandas",
    "rich",
]


class Import(NamedTuple):
    name: str  # as written, absolute: "jsplit.policies.base" or "flax.nnx"
    at_load: bool  # runs when the module is imported


def modules():
    """Source and whether it is a package, by dotted name below jsplit."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package = parts[-1] == "__init__"
        found[".".join(parts[:-1] if package else parts)] = (path.read_text(), package)
    return found


def imports(source, module="", *, package=False):
    """All imports of a module, with `from a import b` as both a and a.b."""
    found = []

    def visit(node, at_load):
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = ["jsplit", *filter(None, module.split("."))]
                here = here[: len(here) - node.level + package]
                base = ".".join([*here, *filter(None, [base])])
            found.append(Import(base, at_load))
            found.extend(Import(f"{base}.{a.name}", at_load) for a in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, False)
            for child in node.orelse:
                visit(child, at_load)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.iter_child_nodes(node):
                visit(child, at_load and not function)

    visit(ast.parse(source), True)
    return found


MODULES = modules()
IMPORTS = {
    name: imports(source, name, package=package)
    for name, (source, package) in MODULES.items()
}


def below(name, group):
    return any(name == one or name.startswith(f"{one}.") for one in group)


def own(name, *, at_load_only=False):
    """The modules of jsplit that one imports: the deepest that every import names."""
    used = set()
    for full, at_load in IMPORTS[name]:
        first, _, rest = full.partition(".")
        if first == "jsplit" and rest in MODULES and (at_load or not at_load_only):
            used.add(rest)
    # `from jsplit.policies import fixed` loads the package too, but speaks of `fixed`.
    return {
        one
        for one in used
        if one and not (MODULES[one][1] and below_any(used - {one}, one))
    }


def below_any(names, package):
    return any(below(name, {package}) for name in names)


def seen_by(name):
    """All that a module may import: its own package, and what its row names."""
    top = name.split(".")[0]
    sees = [*ROWS] if ROWS[top] == ["everything"] else ROWS[top]
    above = [*ROWS][: [*ROWS].index(top)]
    return {top, *(one for one in sees if one.split(".")[0] in above)}


def strangers(name):
    return {one for one in own(name) if not below(one, seen_by(name))}


def test_every_package_and_module_has_a_row():
    """In the table, and as a file or folder of jsplit."""
    tops = {name.split(".")[0] for name in MODULES} - ABOVE
    assert tops == set(ROWS)


def test_rows_name_only_rows_above_them():
    names = [*ROWS]
    for number, (name, sees) in enumerate(ROWS.items()):
        for one in sees if sees != ["everything"] else []:
            assert one in MODULES, (name, one)
            assert one.split(".")[0] in names[:number], (name, one)


def test_rows_name_nothing_in_vain():
    """What a row names is imported, or the table tells of arrows that are not there."""
    for name, sees in ROWS.items():
        used = set().union(*(own(one) for one in MODULES if below(one, {name})))
        for one in sees if sees != ["everything"] else []:
            assert below_any(used, one), (name, one)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ABOVE])
def test_module_imports_only_what_its_row_names(name):
    assert not strangers(name)


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_in_its_place_alone(library):
    users = {
        name
        for name, found in IMPORTS.items()
        if any(below(one.name, {library}) for one in found)
    }
    assert users  # or the rule is about nothing
    assert {name for name in users if not below(name, ONLY_IN[library])} == set()


def test_imports_have_no_cycle():
    """By depth-first search over what loads when a module is imported."""
    graph = {name: own(name, at_load_only=True) for name in MODULES}
    finished, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in finished:
            return
        path.append(name)
        for one in sorted(graph[name]):
            visit(one)
        finished.add(path.pop())

    for name in graph:
        visit(name)
    assert graph["engine.replay"] >= {
        "engine.reduce",
        "engine.tables",
        "engine.streams",
    }


def test_reader_of_imports_sees_every_form():
    source = (
        "import flax.nnx as nnx\n"
        "from jsplit import checks, types\n"
        "from . import fixed\n"
        "from ..engine import replay\n"
        "if TYPE_CHECKING:\n    from xarray import Dataset\n"
        "else:\n    import late\n"
        "def f():\n    import optax\n"
        "try:\n    from .base import Policy\nexcept ImportError:\n    pass\n"
    )
    found = imports(source, "policies.new")
    at_load = {one.name for one in found if one.at_load}
    assert at_load >= {"flax.nnx", "jsplit.checks", "jsplit.types", "late"}
    assert at_load >= {"jsplit.policies.fixed", "jsplit.engine.replay"}
    assert at_load >= {"jsplit.policies.base"}
    assert {one.name for one in found} - at_load == {
        "xarray",
        "xarray.Dataset",
        "optax",
    }


@pytest.mark.parametrize(
    ("name", "source", "stranger"),
    [
        ("policies.fixed", "from jsplit.environment import costs", "environment.costs"),
        ("stats.base", "from jsplit.policies import plans", "policies.plans"),
        ("engine.replay", "from jsplit.policies import index", "policies.index"),
        ("types", "def f():\n    from jsplit import checks", "checks"),
        ("environment.outcomes", "from jsplit.engine import tables", "engine.tables"),
        ("evaluation.exact", "from jsplit import report", "report"),
        ("results.summary", "from jsplit.policies import fixed", "policies.fixed"),
    ],
)
def test_rules_refuse_a_forbidden_import(name, source, stranger, monkeypatch):
    monkeypatch.setitem(IMPORTS, name, IMPORTS[name] + imports(source, name))
    assert strangers(name) == {stranger}


def test_import_of_jsplit_is_light():
    script = (
        "import sys, jsplit\n"
        "print('jax' in sys.modules)\n"
        "jsplit.evaluate, jsplit.sweep\n"
        f"heavy = {[*HEAVY, 'scipy.stats']}\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "[]"]


@pytest.mark.parametrize(
    "script",
    [
        "import jsplit; jsplit.evaluate; import jax",
        "import jax, jsplit",
        "from jsplit.evaluation.evaluate import evaluate; import jax",
    ],
)
def test_every_core_is_a_device_however_jsplit_is_imported(script):
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; print(len(jax.devices('cpu')))"],
        capture_output=True,
        text=True,
        env={**os.environ, "JSPLIT_CPU_DEVICES": "3", "XLA_FLAGS": ""},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3"


def test_packages_are_reachable_and_hidden_by_no_function():
    for name in MODULES:
        if name in ABOVE:
            continue
        module = importlib.import_module(f"jsplit.{name}")
        found = functools.reduce(getattr, name.split("."), jsplit)
        assert found is module, name


def test_dir_is_the_public_surface():
    assert dir(jsplit) == sorted(jsplit.__all__) == sorted(jsplit._HOMES)
    for name in jsplit.__all__:
        assert getattr(jsplit, name) is not None
    for name in ("data", "fitting", "training", "stats", "train", "record", "models"):
        assert name in dir(jsplit)
