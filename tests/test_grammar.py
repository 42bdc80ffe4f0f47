"""Names with values: what is read, and that no text does harm."""

import pytest

from jsplit import fitting
from jsplit.grammar import parse_call, parse_settings, read_value
from jsplit.policies.registry import parse_policy
from jsplit.types import JsplitError

HOSTILE = {
    "deep brackets": "(" * 100_000 + ")" * 100_000,
    "deep lists": "[" * 900,
    "signs": "-" * 100_000 + "1",
    "signs, few": "-" * 990 + "1",
    "nots": "not " * 200 + "1",
    "long number": "9" * 5_000,
    "power": "9**9**9**9",
    "call": "__import__('os').getcwd()",
    "null": "\0",
    "surrogate": "\ud800",
    "lines": "1\n" * 50,
    "quotes": "'" * 51,
    "half a number": "1or 2",
    "overflow": "1e400",
    "overflow in a list": "[-1e400]",
    "bytes": "b'x'",
    "set": "{1, 2}",
    "complex": "1j",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        (" 7 ", 7),
        ("-1e-3", -0.001),
        ("True", True),
        ("None", None),
        ("cifar", "cifar"),
        ("'a, b'", "a, b"),
        ("(4, 8)", (4, 8)),
        ("[[1], (2, 'x')]", [[1], (2, "x")]),
        ("", ""),
        (r"'\d'", r"\d"),  # Python would warn
        ("x=y", "x=y"),
    ],
)
def test_values_are_literals_or_words(text, value):
    found = read_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_values_are_words_and_harm_nobody(text):
    assert read_value(text) == text
    assert parse_settings("set", [f"a={text}"])["a"] == text.strip()
    for parse in (
        lambda: parse_policy(f"splitee(alpha={text})"),
        lambda: parse_policy(f"splitee({text})"),
        lambda: fitting.fit_rule(f"best_split(objective={text})", None, None),
        lambda: parse_settings("set", [text]),
    ):
        with pytest.raises(JsplitError) as error:
            parse()
        message = str(error.value)
        assert len(message) < 300
        assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("splitee", "splitee", {}),
        (" splitee ( ) ", "splitee", {}),
        ("a(b=1, c=word)", "a", {"b": 1, "c": "word"}),
        ("a(b=(1, 2), c=[3, (4, 5)])", "a", {"b": (1, 2), "c": [3, (4, 5)]}),
        ("a(b='x, y', c=\"'\")", "a", {"b": "x, y", "c": "'"}),
        ("a(\n  b=1\n)", "a", {"b": 1}),
        ("a(b=(1, c=2)", "a", {"b": "(1, c=2"}),
        ("a(b=), c=2)", "a", {"b": ")", "c": 2}),
    ],
)
def test_calls_are_a_name_and_values(text, name, values):
    assert parse_call("thing", text) == (name, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:b=1", "thing must be a name or name(number=value, ...), got 'a:b=1'"),
        ("a(b=1) c", "thing must be a name or name(number=value, ...), got 'a(b=1) c'"),
        ("", "thing must be a name or name(number=value, ...), got ''"),
        (7, "thing must be a name or name(number=value, ...), got 7"),
        ("a(b)", "thing a: expected number=value, every number once, got 'b'"),
        ("a(1=2)", "thing a: expected number=value, every number once, got '1=2'"),
        ("a(,)", "thing a: expected number=value, every number once, got ''"),
        ("a(b=1,)", "thing a: expected number=value, every number once, got ''"),
        ("a(b=1,,c=2)", "thing a: expected number=value, every number once, got ''"),
        ("a(b=1, b=2)", "thing a: expected number=value, every number once, got b tw"),
    ],
)
def test_calls_of_another_form_are_refused(text, message):
    with pytest.raises(JsplitError) as error:
        parse_call("thing", text)
    assert str(error.value).startswith(message)


def test_settings_are_written_once():
    with pytest.raises(JsplitError, match=r"^set must be NAME=VALUE, got a twice$"):
        parse_settings("set", ["a=1", "b=2", "a=1"])
