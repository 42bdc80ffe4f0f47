"""The imports of jsplit, read from its source, against the layers of its design."""

import ast
import pathlib
import subprocess
import sys
from typing import NamedTuple

import pytest

import jsplit

ROOT = pathlib.Path(jsplit.__file__).parent

# What a module may import of jsplit, anywhere in it. A name also stands for all that
# is below it. Modules above these layers (evaluate, results, sweep, cli) may see all.
POLICIES = {"types", "checks", "plans", "policies"}
ENGINE = {"types", "streams", "policies.base", "engine"}
ALLOWED = {
    "types": set(),
    "checks": {"types"},
    "costs": {"types", "checks"},
    "plans": {"types", "checks"},
    "streams": {"types", "checks"},
    "stats": {"types", "checks", "stats"},
    "tables": {"types", "checks"},
    "arrays": {"types", "checks"},
    "softmax": set(),
    "writing": {"types"},
    "trace_files": {"types", "checks", "writing"},
    "trace": {"types", "checks", "arrays", "softmax", "trace_files"},
    "loading": {"types", "checks", "tables", "trace_files", "trace"},
    "calibration": {"types", "checks", "softmax", "trace"},
    "drift": {"types", "checks"},
    "scenario": {"types", "checks", "costs", "drift", "trace"},
    "outcomes": {"types", "checks", "costs", "plans", "streams", "trace"},
    "signals": {"types", "checks", "costs", "outcomes", "policies.base", "trace"},
    "policies.base": {"types", "checks"},
    "policies": POLICIES,
    "engine": ENGINE,
    "models": {"types", "checks", "writing", "models"},
    "data": {"types", "checks", "writing", "data"},
    "training": {"types", "checks", "data", "models", "training"},
    "fitting": {
        *{"types", "checks", "costs", "plans", "trace", "scenario", "stats"},
        *{"policies.base", "policies.simple", "policies.splitee", "fitting"},
    },
    "recording": {
        *{"types", "checks", "softmax", "trace", "calibration"},
        *{"data", "models", "recording"},
    },
}
# Who may import what is heavy or belongs in one place.
ONLY_IN = {
    "xarray": {"results", "summary", "recovery"},
    "matplotlib": {"report.figures"},
    "flax": {"models", "training", "recording", "quickstart", "bench_models"},
    "optax": {"training"},
    "orbax": {"training.checkpoint"},
    "tensorflow_datasets": {"data"},
    "PIL": {"data"},
    "tokenizers": {"data"},
}
HEAVY = [
    "flax",
    "optax",
    "tensorflow_datasets",
    "PIL",
    "tokenizers",
    "xarray",
    "matplotlib",
    "sklearn",
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


def rule_of(name):
    """The most specific entry of ALLOWED for a module, or None."""
    matching = [one for one in ALLOWED if below(name, {one})]
    return max(matching, key=len, default=None)


def strangers(name):
    rule = rule_of(name)
    if rule is None:
        return set()
    return {one for one in own(name) if not below(one, ALLOWED[rule])}


def test_every_layer_of_the_design_exists():
    assert set(ALLOWED) <= set(MODULES)
    assert {"evaluate", "results", "engine.replay", "policies.registry"} <= set(MODULES)


@pytest.mark.parametrize("name", [name for name in MODULES if rule_of(name)])
def test_module_imports_only_layers_below(name):
    assert not strangers(name)


def test_only_the_registry_and_its_family_know_concrete_policies():
    """The engine gets selectors handed; it knows their contract alone."""
    concrete = {one for one in MODULES if below(one, {"policies"})}
    concrete -= {"policies", "policies.base"}
    for name in MODULES:
        if below(name, {"engine", "outcomes", "streams", "stats", "results", "report"}):
            assert not own(name) & concrete, name
    assert "policies.registry" in own("evaluate")


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_in_its_place_alone(library):
    users = {
        name
        for name, found in IMPORTS.items()
        if any(below(one.name, {library}) for one in found)
    }
    assert users  # or the rule is about nothing
    assert {name for name in users if not below(name, ONLY_IN[library])} == set()


def test_models_and_data_are_used_by_training_and_recording_alone():
    users = {"models", "data", "training", "recording", "commands", "cli"}
    users |= {"quickstart", "bench_models", "bench_rivals"}
    for name in filter(None, MODULES):  # jsplit itself shows all names to types
        if not below(name, users):
            assert not any(below(one, {"models", "data"}) for one in own(name)), name


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
    assert graph["engine.replay"] >= {"engine.reduce", "engine.tables", "streams"}


def test_reader_of_imports_sees_every_form():
    source = (
        "import flax.nnx as nnx\n"
        "from jsplit import checks, costs\n"
        "from . import fixed\n"
        "from ..engine import replay\n"
        "if TYPE_CHECKING:\n    from xarray import Dataset\n"
        "else:\n    import late\n"
        "def f():\n    import optax\n"
        "try:\n    from .base import Policy\nexcept ImportError:\n    pass\n"
    )
    found = imports(source, "policies.new")
    at_load = {one.name for one in found if one.at_load}
    assert at_load >= {"flax.nnx", "jsplit.checks", "jsplit.costs", "late"}
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
        ("policies.fixed", "from jsplit.costs import Costs", "costs"),
        ("policies.base", "from jsplit import plans", "plans"),
        ("engine.replay", "from jsplit.policies import index", "policies.index"),
        ("types", "def f():\n    from jsplit import checks", "checks"),
        ("outcomes", "from jsplit.engine import tables", "engine.tables"),
    ],
)
def test_rules_refuse_a_forbidden_import(name, source, stranger, monkeypatch):
    monkeypatch.setitem(IMPORTS, name, IMPORTS[name] + imports(source, name))
    assert strangers(name) == {stranger}


def test_import_of_jsplit_is_light():
    script = (
        "import sys, jsplit\n"
        f"heavy = {[*HEAVY, 'scipy.stats']}\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
