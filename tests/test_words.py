"""The words of docstrings and comments: one dialect, and names that exist."""

import ast
import inspect
import io
import pathlib
import re
import tokenize

import pytest

import jsplit

ROOT = pathlib.Path(jsplit.__file__).parent
SECTIONS = "Args|Attributes|Returns|Yields|Raises|Example|Examples|Reference"
# Proper names an entry may start with; acronyms and dimension letters may too.
NAMES = {"True", "False", "None", "Student", "Student's", "Wilson", "Wilson's", "Adam"}
NAMES |= {"Python", "NumPy", "Parquet", "Jeffreys", "Bernoulli", "Gaussian"}
LIBRARIES = {"jax", "numpy", "nnx", "optax", "tokenizers", "xarray"}
# Words in -ize that are no verbs of American spelling.
SIZES = {"size", "sizes", "sized", "sizing", "resize", "resized", "resizing", "prize"}
AMERICAN = (
    r"[A-Za-z]+iz(?:e|es|ed|ing|ation|ations)|optimisers?|[a-z]*analyz[a-z]+|"
    r"colors?|behaviors?|favors?|favorable|neighbors?|centers?|grays?|labeled|modeled"
)


def source_files():
    """Path by dotted name below jsplit; a package goes by its own name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = source_files()
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
every_module = pytest.mark.parametrize("name", FILES)


def documented(tree):
    """Yields every node that may have a docstring, with it."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield node, text


def entries(text, section):
    """The entries of one section of a docstring, as (name, text) with joined lines."""
    found, inside = [], False
    for line in text.splitlines():
        if re.fullmatch(rf"({SECTIONS}):", line):
            inside = line == f"{section}:"
        elif line and not line.startswith(" "):
            inside = False
        elif inside and (match := re.fullmatch(r"    (\*{0,2}[\w.]+): (.+)", line)):
            found.append([match[1], match[2]])
        elif inside and line.startswith("     ") and found:
            found[-1][1] += " " + line.strip()
    return found


def starts_well(text):
    """Whether an entry starts in lower case, or with what is always written so."""
    word = text.split()[0].rstrip(",;:.")
    first = re.split(r"[-^+/(]", word)[0]
    if word in NAMES or re.fullmatch(r"[A-Z][A-Z0-9]*s?", first):
        return True
    return not word[0].isupper()


def dialect(tree):
    """What a module says in another dialect, a line each."""
    wrong = []
    for node, text in documented(tree):
        where = getattr(node, "name", "module")
        for section in ("Args", "Attributes", "Returns"):
            for name, entry in entries(text, section):
                if not starts_well(entry):
                    wrong.append(f"{where}, {section}: {name}: {entry[:30]}")
                if section != "Returns" and not entry.endswith((".", "...")):
                    wrong.append(f"{where}, {section}: {name} ends without a period")
        for name, entry in entries(text, "Raises"):
            if name == "JsplitError" and not entry.startswith("if "):
                wrong.append(f"{where}, Raises: {name}: {entry[:30]}")
    if "Called by" in (ast.get_docstring(tree) or ""):
        wrong.append("module docstring: Called by")
    return wrong


def comments(source):
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def prose(source):
    """Docstrings and comments without code: backticks, quotes, doctests, links."""
    texts = [text for _, text in documented(ast.parse(source))] + comments(source)
    text = "\n".join(texts)
    text = re.sub(r"^ *(>>>|\.\.\.) .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"``[^`]*``|`[^`]*`|\"[^\"\n]*\"|https?://\S+", "", text)


def american(source):
    """Words of American spelling in a module's prose."""
    words = re.findall(rf"(?<![\w.])(?:{AMERICAN})\b(?![(_.=]\w)", prose(source))
    return sorted({word for word in words if word.lower() not in SIZES})


def definitions(tree):
    """Names a module defines or imports, `Class.member` included, and parameters."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                target = getattr(part, "target", None)
                member = getattr(part, "name", getattr(target, "id", None))
                found.add(f"{node.name}.{member}")
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found |= {node.name, node.name.split(".")[0], node.asname or node.name}
    for node in tree.body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        found |= {one.id for one in targets if isinstance(one, ast.Name)}
    return found


DEFINED = {name: definitions(tree) for name, tree in TREES.items()}


def is_folder(name):
    """Whether jsplit has a folder of data under this name."""
    return (ROOT / name.replace(".", "/")).is_dir()


def exists(token, name):
    """Whether a name in the docstring of module `name` is that of something.

    A module goes by its name below jsplit or beside the one that speaks; what a module
    defines by its name here or beside, by `module.name`, or as jsplit's own.
    """
    token = token.removeprefix("jsplit.")
    if token.split(".")[0] in LIBRARIES:
        return True
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    bases = {"", package, package.rpartition(".")[0]}
    places = {f"{base}.{token}".strip(".") for base in bases}
    if places & FILES.keys() or any(is_folder(place) for place in places):
        return True
    beside = [one for one in FILES if one.rpartition(".")[0] == package]
    if any(token in DEFINED[one] for one in {name, package, "", *beside}):
        return True
    first = token.split(".")[0]
    if first in DEFINED[""] and first not in FILES:
        return any(token in found for found in DEFINED.values())
    for place in places:
        parts = place.split(".")
        for cut in range(1, len(parts)):
            module, rest = ".".join(parts[:cut]), ".".join(parts[cut:])
            if module in FILES and rest in DEFINED[module]:
                return True
    return False


def strangers(name, text):
    """Backticked names of a module docstring that are nobody's."""
    tokens = re.findall(r"(?<!`)`([A-Za-z_]\w*(?:\.\w+)*)`(?!`)", text)
    return [token for token in tokens if not exists(token, name)]


@every_module
def test_docstrings_are_in_one_dialect(name):
    """Entries start in lower case and end with a period; Raises say when: `if ...`."""
    assert dialect(TREES[name]) == []


@every_module
def test_spelling_is_british(name):
    """Except `optimizer`, which is optax's word, and names in code."""
    assert american(FILES[name].read_text()) == []


@every_module
def test_module_docstring_names_what_exists(name):
    """Modules are renamed, and what others say of them goes stale."""
    assert strangers(name, ast.get_docstring(TREES[name]) or "") == []


def test_reader_of_docstrings_sees_other_dialects():
    def module(*lines):
        return ast.parse("\n".join(['"""One line.', "", *lines, '"""']))

    good = ("Args:", "    a: first of", "        two lines.", "    b: JSON-able text.")
    good += (
        "    c: T steps.",
        "    *d: `Trace`s.",
        "    e: None = none.",
        "",
        "Raises:",
    )
    good += ("    JsplitError: if wrong.", "", "Returns:", "    The sum: of both.")
    assert dialect(module(*good)) == []
    for line in ("    a: First.", "    a: first", "    **a: Whether it is."):
        assert len(dialect(module("Args:", line))) == 1, line
        assert len(dialect(module("Attributes:", line, "", "More text."))) == 1, line
    assert len(dialect(module("Raises:", "    JsplitError: For it.", ""))) == 1
    assert len(dialect(module("Raises:", "    JsplitError: a is odd."))) == 1
    assert len(dialect(module("Called by users."))) == 1


def test_reader_of_prose_sees_american_words_but_not_code():
    source = '''"""Summarizes and quantized `resize_to_normalize`; an optimizer.

    >>> normalize(color)
    """
x = "initialize"  # the optimiser's size, resized in color
'''
    found = american(inspect.cleandoc(source))
    assert found == ["Summarizes", "color", "optimiser", "quantized"]


@pytest.mark.parametrize(
    ("name", "good", "stale"),
    [
        ("traces.trace", "`files` `stats.mean_interval` `checks`", "`trace_files`"),
        ("stats.paired", "`intervals` `errors.test_set_error`", "`summary.summarize`"),
        ("policies.index", "`IndexSelector.index` `engine`", "`forget`"),
        ("evaluation", "`binding` `jsplit.evaluate` `Trace.save`", "`Trace.sav`"),
    ],
)
def test_reader_of_names_knows_what_exists(name, good, stale):
    assert strangers(name, good) == []
    assert len(strangers(name, f"{good} {stale}")) == 1
