"""The examples in docstrings run and print what they say."""

import doctest
import importlib
import pathlib

import pytest

import jsplit
from jsplit.extras import MissingExtra

ROOT = pathlib.Path(jsplit.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text("utf-8")
]

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_module(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where some of them write
    try:
        module = importlib.import_module(name.removesuffix(".__init__"))
    except MissingExtra as missing:
        pytest.skip(str(missing))
    failed, attempted = doctest.testmod(
        module, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert attempted
    assert not failed
