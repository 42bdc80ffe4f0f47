"""The README keeps its word: its example runs and its names exist."""

import jax.numpy as jnp
from conftest import policy_of_the_readme, random_trace, readme_examples
from flax import nnx

import jsplit
from jsplit.policies.registry import REGISTRY, policy_summary


def test_first_example_runs_and_prints_a_table(capsys):
    exec(compile(readme_examples()[0].replace("4096", "64"), "README.md", "exec"), {})
    assert "offload" in capsys.readouterr().out


def test_sweep_example_runs(capsys):
    exec(compile(readme_examples()[1].replace("256", "8"), "README.md", "exec"), {})
    assert "offload" in capsys.readouterr().out


def test_rollout_example_runs(capsys):
    exec(compile(readme_examples()[2], "README.md", "exec"), {})
    assert len(capsys.readouterr().out.split()) >= 2


def test_expected_example_finds_a_lower_threshold():
    names = {}
    exec(compile(readme_examples()[3], "README.md", "exec"), names)
    assert 0.5 < names["alpha"] < 0.9


def test_network_of_your_own_has_two_exits():
    names = {}
    exec(compile(readme_examples()[4], "README.md", "exec"), names)
    model = names["TwoExits"](3, nnx.Rngs(0))
    assert model(jnp.ones((5, 64))).shape == (5, 2, 3)


def test_scenario_example_runs(capsys):
    exec(compile(readme_examples()[5].replace("1024", "8"), "README.md", "exec"), {})
    assert "0.95" in capsys.readouterr().out


def test_policy_of_your_own_takes_one_file_and_one_line(monkeypatch):
    shrinking = policy_of_the_readme()
    monkeypatch.setitem(REGISTRY, "shrinking", shrinking)
    assert "bonus that time never raises" in policy_summary("shrinking")
    trace = random_trace(60, 4, seed=1)
    result = jsplit.evaluate(
        trace,
        ["shrinking(bonus=0.2)", shrinking(bonus=0.0)],
        jsplit.Costs.splitee(4, offload=0.2),
        num_replicas=2,
    )
    assert (result["pulls"].sum("plan") == 60).all()
    assert (result["pulls"] >= 1).all()


def test_rules_are_fitted_on_the_trace_of_the_first_example():
    names = {}
    setup = readme_examples()[0].split("result =")[0]
    exec(compile(setup + readme_examples()[7], "README.md", "exec"), names)
    assert len(names["values"].policies) == 5
    assert len(readme_examples()) == 8


def test_every_public_name_exists():
    assert jsplit.__all__ == sorted(jsplit.__all__)
    for name in jsplit.__all__:
        assert getattr(jsplit, name) is not None
