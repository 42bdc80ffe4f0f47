"""The API reference has every public name, those that load when used, too."""

import inspect
import pathlib
import subprocess
import sys

import pytest

import jsplit

SCRIPT = pathlib.Path(__file__).parents[2] / ".github" / "reference.py"


def test_reference_has_every_public_name(tmp_path):
    pytest.importorskip("pdoc", reason="pdoc, of the extra docs, is not installed")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "does not resolve" not in done.stderr
    page = (tmp_path / "jsplit.html").read_text("utf-8")
    for name in jsplit.__all__:
        value = getattr(jsplit, name)
        if inspect.ismodule(value):
            assert (tmp_path / f"{value.__name__.replace('.', '/')}.html").exists()
        else:
            assert f'id="{name}"' in page, name
    for module in (jsplit.recording, jsplit.report, jsplit.training):
        page = (tmp_path / f"{module.__name__.replace('.', '/')}.html").read_text()
        for name in module.__all__:
            assert f'id="{name}"' in page, name
