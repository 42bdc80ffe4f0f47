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
