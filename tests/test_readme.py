"""The README keeps its word: its example runs and its names exist."""

import pathlib
import re

import jsplit

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_example_runs_and_prints_a_table(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)
    exec(compile(code.replace("4096", "64"), "README.md", "exec"), {})
    assert "offload" in capsys.readouterr().out


def test_every_public_name_exists():
    assert jsplit.__all__ == sorted(jsplit.__all__)
    for name in jsplit.__all__:
        assert getattr(jsplit, name) is not None
