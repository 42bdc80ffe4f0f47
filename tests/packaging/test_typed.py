"""A user's file is type-checked against jsplit."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import pytest

import jsplit

# A line ends with what pyright says about it: a type, or the rule that it breaks.
FILE = """
import jsplit

trace = jsplit.load_trace("a.npz")
costs = jsplit.Costs.splitee(trace.num_exits, offload=0.3)
reveal_type(trace)  # Trace
reveal_type(trace.num_exits)  # int
reveal_type(costs)  # Costs
reveal_type(jsplit.make_policy("splitee"))  # Policy
reveal_type(jsplit.models.CNN)  # type[CNN]
reveal_type(jsplit.training.Settings())  # Settings
result = jsplit.evaluate(trace, ["splitee"], costs)
reveal_type(result)  # Result
reveal_type(result.summarize())  # Summary
reveal_type(jsplit.exact_values(trace, ["final_exit"], costs))  # ExactValues
reveal_type(jsplit.recovery(result, 5))  # Recovery
reveal_type(jsplit.sweep(trace, ["splitee"], costs, {}))  # Runs
jsplit.summarize(result.summarize())  # reportArgumentType
jsplit.report.render(result)  # reportArgumentType
jsplit.report.regret_curves(result, bands="wide")  # reportArgumentType
jsplit.recovery(result.data, 5)  # reportArgumentType
jsplit.Costs.splitee("4")  # reportArgumentType
jsplit.make_policy(1)  # reportArgumentType
jsplit.evaluate(costs, ["splitee"])  # reportArgumentType
jsplit.evaluate(trace, 3, costs)  # reportArgumentType
jsplit.evaluate(trace, ["splitee"], costs, stream="shufle")  # reportArgumentType
jsplit.evaluate(trace, ["splitee"], costs, replicas=10)  # reportCallIssue
jsplit.evalaute(trace, ["splitee"], costs)  # reportAttributeAccessIssue
jsplit.report.figure(trace)  # reportAttributeAccessIssue
jsplit.training.trian  # reportAttributeAccessIssue
"""


def test_py_typed_ships():
    assert (pathlib.Path(jsplit.__file__).parent / "py.typed").exists()


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What pyright says by line: types that are revealed, and rules that are broken."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright, of the extra dev, is not installed")
    file = tmp_path_factory.mktemp("typed") / "yours.py"
    file.write_text(FILE, encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson"]
    done = subprocess.run(
        [*command, "--pythonpath", sys.executable, str(file)],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not start: {done.stderr[-200:]}")
    found = {}
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        revealed = re.search(r' is "(.*)"$', one["message"])
        what = one.get("rule") or (revealed[1] if revealed else one["message"])
        found.setdefault(one["range"]["start"]["line"], []).append(what)
    return found


@pytest.mark.parametrize("number", range(len(FILE.splitlines())))
def test_line_is_judged(said, number):
    _, mark, wanted = FILE.splitlines()[number].partition("  # ")
    assert said.get(number, []) == ([wanted] if mark else [])
