import pathlib

import numpy as np
import pytest

from jsplit import checks
from jsplit.types import JsplitError


def test_integers_are_a_plain_list():
    given = checks.integers("widths", np.array([3, 1], np.uint8), 1)
    assert given == [3, 1]
    assert {type(one) for one in given} == {int}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([2, 0], r"each of widths must be an integer >= 1, got 0$"),
        ([2.5, 3], r"each of widths must be an integer >= 1, got 2.5$"),
        ([4], r"widths must have at least 2 entries, got \[4\]$"),
        ("44", r"widths must be a list such as \(8, 16\), got '44'$"),
        (4, r"widths must be a list such as \(8, 16\), got 4$"),
    ],
)
def test_other_lists_are_refused(value, message):
    with pytest.raises(JsplitError, match=message):
        checks.integers("widths", value, 1, at_least=2)


@pytest.mark.parametrize("given", ["a/b.npz", pathlib.Path("a/b.npz")])
def test_paths_are_of_pathlib(given):
    assert checks.path("out", given) == pathlib.Path("a", "b.npz")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"),
        (5, "5"),
        (["a"], r"\['a'\]"),
        (b"a.npz", r"b'a\.npz'"),
        ("", "''"),
        ("\ud800", r"'\\ud800'"),
        ("a\0.npz", r"'a\\x00\.npz'"),
        (pathlib.Path("a\0"), r"PosixPath\('a\\x00'\)"),
    ],
)
def test_other_paths_are_refused(value, shown):
    message = rf"^out must be a path such as 'runs/a\.npz', got {shown}$"
    with pytest.raises(JsplitError, match=message):
        checks.path("out", value)
