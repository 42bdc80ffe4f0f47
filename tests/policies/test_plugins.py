"""Policies of other installed packages, each a folder with metadata on the path."""

import json

import pytest
from conftest import random_trace

import jsplit
from jsplit import cli
from jsplit.policies import plugins
from jsplit.policies.registry import make_policy, parse_policy, policy_names
from jsplit.types import JsplitError

SOURCE = '''
from jsplit.policies import UCB, UCBParams, Policy, over_splits

def bold(*, alpha: float = 0.7, beta: float = 3.0):
    """Bold: UCB that explores [a lot].

    More is in the paper.
    """
    if beta > 100:
        raise RuntimeError("beta is far too large")
    if beta == 99:
        raise SystemExit("beta is not liked")
    return over_splits("bold", UCB(), UCBParams(beta), alpha=alpha)

def other(*, alpha: float = 0.7):
    """Other."""
    return bold(alpha=alpha)

def nothing(*, alpha: float = 0.7):
    """Nothing."""

def needy(*, alpha):
    """Needy."""
    return bold(alpha=alpha)

number = 3
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package with entry points, name=value each."""

    def installed(package, *entries, source=SOURCE):
        module = package.replace("-", "_")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\n")
        lines = [f"[{plugins.GROUP}]", *(entry.format(module) for entry in entries)]
        (info / "entry_points.txt").write_text("\n".join(lines))
        (tmp_path / f"{module}.py").write_text(source)

    monkeypatch.syspath_prepend(tmp_path)
    return installed


def test_policy_of_a_package_has_a_name(install, capsys, monkeypatch, tmp_path):
    before = policy_names()
    install("brave-policies", "bold = {}:bold")
    assert policy_names() == [*before, "bold"]
    assert make_policy("bold", beta=2).label == "bold(beta=2)"
    policy = parse_policy("bold(beta=2, alpha=0.5)")
    assert (policy.params.beta, policy.alpha) == (2, 0.5)
    with pytest.raises(JsplitError, match=r"a number of policy bold must be one of al"):
        make_policy("bold", betta=1.0)
    with pytest.raises(JsplitError, match=r"did you mean 'bold'"):
        make_policy("bolt")
    trace = random_trace(40, 3)
    result = jsplit.evaluate(
        trace, ["bold(beta=2)"], jsplit.Costs.splitee(3), num_replicas=2
    )
    assert result.policies == ["bold(beta=2)"]
    assert cli.main(["policies", "--json"]) == 0
    rows = {row["policy"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["bold"]["package"] == "brave-policies"
    assert rows["bold"]["numbers"] == {"alpha": 0.7, "beta": 3.0}
    assert rows["bold"]["summary"] == "Bold: UCB that explores [a lot]."
    assert rows["splitee"]["package"] == "jsplit"
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["policies"]) == 0
    out = capsys.readouterr().out
    assert "bold (brave-policies)" in out
    assert "[a lot]" in out
    trace.save(tmp_path / "t.npz")
    command = ["evaluate", str(tmp_path / "t.npz"), "bold(beta=2)", "--json"]
    assert cli.main([*command, "--num-replicas", "8"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert "bold(beta=2)" in {row["policy"] for row in shown["rows"]}


BROKEN = {
    "no module": ("{}_gone:bold", SOURCE, "cannot be loaded: ModuleNotFoundError: "),
    "no function": ("{}:bald", SOURCE, "cannot be loaded: AttributeError: "),
    "no code": ("{}:bold", "1 +", "cannot be loaded: SyntaxError: "),
    "fails": ("{}:bold", "1 / 0", "cannot be loaded: ZeroDivisionError: "),
    "exits": ("{}:bold", "raise SystemExit(3)", "cannot be loaded: SystemExit: "),
    "number": ("{}:number", SOURCE, "cannot be loaded: TypeError: "),
    "no default": ("{}:needy", SOURCE, "alpha must have a number as its default"),
    "other name": ("{}:other", SOURCE, "must return a Policy of this name, got 'bold'"),
    "no policy": ("{}:nothing", SOURCE, "must return a Policy of this name, got None"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_package_is_named_in_one_line(install, capsys, broken):
    value, source, message = BROKEN[broken]
    package = f"broken-{broken.replace(' ', '-')}"
    install(package, f"mine = {value}", source=source)
    with pytest.raises(JsplitError) as error:
        make_policy("mine")
    assert str(error.value).startswith(f"policy mine of package {package}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert make_policy("splitee").name == "splitee"
    assert cli.main(["policies"]) == 0
    assert "splitee" in capsys.readouterr().out


def test_factory_that_fails_is_named(install):
    install("failing", "bold = {}:bold")
    with pytest.raises(
        JsplitError, match=r"^policy bold of package failing cannot be "
    ):
        make_policy("bold", beta=101)
    with pytest.raises(JsplitError, match=r"made: SystemExit: 'beta is not liked'$"):
        make_policy("bold", beta=99)
    with pytest.raises(JsplitError, match=r"^alpha must be a number from 0 to 1"):
        make_policy("bold", alpha=2)


def test_built_in_names_cannot_be_taken(install, capsys):
    install("greedy-package", "splitee = {}:bold")
    assert make_policy("splitee").params.beta == 1.0
    assert policy_names().count("splitee") == 1
    assert cli.main(["policies", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == (
        "policy splitee of package greedy-package is not used: jsplit has that name\n"
    )
    rows = [row for row in json.loads(out) if row["policy"] == "splitee"]
    assert [row["package"] for row in rows] == ["jsplit"]


def test_two_packages_cannot_share_a_name(install):
    install("first", "bold = {}:bold")
    install("second", "bold = {}:bold")
    with pytest.raises(
        JsplitError, match=r"^policy bold is offered by several packages"
    ):
        make_policy("bold")
    assert policy_names().count("bold") == 1


def test_built_in_names_look_at_no_packages(monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", None)
    assert parse_policy("splitee(alpha=0.8)").label == "splitee(alpha=0.8)"


def test_what_a_policy_needs_is_in_one_place():
    from jsplit import policies

    assert set(policies.__all__) >= {"IndexSelector", "UCB", "over_splits", "fold"}
    assert set(policies.__all__) >= {"one_hot", "known_rewards", "split_plans"}
    for name in policies.__all__:
        assert getattr(policies, name) is not None
        assert f"`{name}`" in policies.__doc__ or name == "UCBParams"
