"""Figures and the table of a sweep, on one that is made up."""

import io

import numpy as np
import pytest
from made_sweeps import POLICIES, made_runs, made_values
from matplotlib.figure import Figure
from rich.console import Console

import jsplit
from jsplit import report
from jsplit.report.best import with_half_width
from jsplit.report.figures.sweeps import named_policies
from jsplit.types import JsplitError

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def runs():
    return made_runs(made_values())


def many(runs, count):
    """The same sweep with the rule many times over, under other names."""
    extra = [
        runs.data.sel(policy=["rule"]).assign_coords(policy=[f"rule{i}"])
        for i in range(count)
    ]
    import xarray

    parts = [runs.data, *extra]
    return jsplit.Runs(xarray.concat(parts, "policy", combine_attrs="override"))


def names_of(axes):
    return [text.get_text() for text in axes.texts]


def notes_of(figure):
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def test_curves_are_the_best_cells_and_bands_their_intervals(runs, tmp_path):
    axes = report.sweep_curves(runs, "offload", path=tmp_path / "a.png")
    assert sorted(names_of(axes)) == sorted(POLICIES)
    lines = {line.get_label(): line for line in axes.lines}
    best = runs.best("reward", ["offload"])
    for policy in POLICIES:
        expected = best[best["policy"] == policy]["mean"]
        np.testing.assert_allclose(lines[policy].get_ydata(), expected)
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(best[best["policy"] == "learner"]["high"].max())
    note = notes_of(axes.figure)
    assert "Bands: 95 %" in note
    assert "the choice of the best alpha in reward" in note
    assert (tmp_path / "a.png").stat().st_size > 0


def test_a_policy_looks_alike_in_all_figures(runs):
    lines = report.sweep_curves(runs, "offload", "cost").lines
    colour = {line.get_label(): line.get_color() for line in lines}
    front = report.sweep_front(runs)
    assert colour["learner"] in {line.get_color() for line in front.lines}
    tiles = report.sweep_map(runs, "offload", "alpha")
    (handle,) = tiles.get_legend().get_patches()
    assert handle.get_label() == "learner"
    from matplotlib.colors import to_hex

    assert to_hex(handle.get_facecolor()) == colour["learner"].lower()


def test_of_many_policies_few_are_named(runs):
    crowd = many(runs, 40)
    axes = report.sweep_curves(crowd, "offload")
    assert len(names_of(axes)) == 7
    assert {"learner", "final_exit"} <= set(names_of(axes))
    assert "oracle" not in names_of(axes)
    assert len(axes.lines) == 44
    assert "Grey: all other policies" in notes_of(axes.figure)
    table = crowd.best("reward", ["offload"])
    assert "learner" in named_policies(crowd, table, "reward", most=1)
    assert len(names_of(report.sweep_front(crowd))) <= 7


def test_axes_of_the_user_are_drawn_on_and_given_back(runs):
    figure = Figure(figsize=(12, 5), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    assert report.sweep_curves(runs, "alpha", "accuracy", axes=first) is first
    assert report.sweep_map(runs, "alpha", "offload", axes=second) is second
    assert report.sweep_front(runs, axes=third) is third
    assert not figure.texts
    assert any("Bands: 95 %" in " ".join(name.split()) for name in names_of(first))
    figure.draw_without_rendering()


def test_map_is_pale_where_another_policy_may_be_the_best():
    values = made_values()
    values[0, :, 1] = values[0, :1, 0] + 0.05  # the rule is as good as the learner
    axes = report.sweep_map(made_runs(values), "offload", "alpha")
    assert "Pale: another policy cannot be told" in notes_of(axes.figure)
    shades = {tile.get_facecolor() for tile in axes.patches}
    assert len(axes.patches) == 6
    assert len(shades) > 1
    assert len(names_of(axes)) == 6  # the values


def test_front_says_how_many_settings_there_are(runs):
    axes = report.sweep_front(runs)
    table = runs.front()
    note = notes_of(axes.figure)
    assert f"{len(table)} settings: {table['dominated'].sum()} surely dominated" in note
    assert sorted(names_of(axes)) == ["final_exit", "learner"]


def test_panels_share_a_note_and_families_have_a_panel_each(runs):
    figure = report.sweep_panels(runs, "offload", ("cost", "accuracy"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["cost", "accuracy"]
    assert notes_of(figure).count("Bands") == 1
    families = {"learners": ["learner"], "rules": ["rule", "final_exit"]}
    figure = report.sweep_families(runs, "alpha", families=families)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [*families]
    legend = figure.axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == families["rules"]
    crowd = many(runs, 9)
    crowd.data.attrs["families"] = "{}"
    titles = [
        x.get_title(loc="left") for x in report.sweep_families(crowd, "alpha").axes
    ]
    assert titles[:2] == ["others", "others 2"]


def test_text_on_an_axis_stands_side_by_side(runs):
    named = jsplit.Runs(runs.data.assign_coords(offload=["low", "mid", "high"]))
    axes = report.sweep_curves(named, "offload")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        "low",
        "mid",
        "high",
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ((0.5, 0.4, 0.6), "0.50 ±0.10"),
        ((123.4, 111.4, 135.4), "123 ±12"),
        ((0.5, 0.5, 0.5), "0.5 ±0"),
        ((0.5, np.nan, np.nan), "0.5 ±?"),
    ],
)
def test_half_widths_have_two_digits(number, expected):
    assert with_half_width(*number) == expected


def test_table_of_the_best_fits_80_columns(runs):
    text = io.StringIO()
    table = report.render_best(runs.best("cost"), "cost", runs)
    Console(file=text, width=80).print(table)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "1 of 6" in text.getvalue()
    assert lines[-1].startswith("The best of many is the luckiest")


BAD = {
    "runs": (lambda runs: report.sweep_front(5), "runs must be a Runs from sweep"),
    "axis": (
        lambda runs: report.sweep_curves(runs, "ofload"),
        "did you mean 'offload'",
    ),
    "metric": (lambda runs: report.sweep_curves(runs, "alpha", "x"), "metric must be"),
    "policy": (
        lambda runs: report.sweep_curves(runs, "alpha", policies=["ruel"]),
        "policies must be one of",
    ),
    "twice": (
        lambda runs: report.sweep_map(runs, "alpha", "alpha"),
        "y must be another axis than x, got alpha",
    ),
    "none": (
        lambda runs: report.sweep_panels(runs, "alpha", []),
        "at least one metric",
    ),
    "families": (
        lambda runs: report.sweep_families(runs, "alpha", families={}),
        "at least one family",
    ),
    "path": (
        lambda runs: report.sweep_front(runs, path="a.jpg"),
        r"end in .png, .pdf, .svg, got a.jpg",
    ),
}


@pytest.mark.parametrize(("draw", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(runs, draw, message):
    with pytest.raises(JsplitError, match=message):
        draw(runs)


def test_a_sweep_with_missing_cells_says_how_many(runs, tmp_path):
    gone = runs["mean"]["offload"] == runs["offload"][1]
    lone = jsplit.Runs(runs.data.where(~gone))
    lone = jsplit.Runs(lone.data.assign_attrs(runs.attrs))
    assert "missing" not in repr(runs)
    best = lone.best("cost")
    assert not best["mean"].isna().any()
    assert best.attrs["num_missing"] > 0
    assert f"{best.attrs['num_missing']} of " in repr(lone)
    report.sweep_front(lone, path=tmp_path / "front.png")
    report.sweep_map(lone, "offload", "alpha")
    for draw in (lone.sensitivity, lambda: report.sweep_curves(lone, "offload")):
        with pytest.raises(JsplitError, match="missing: merge its shards first"):
            draw()


def test_parquet_takes_columns_of_numbers_and_texts(tmp_path):
    import pandas

    frame = pandas.DataFrame({"best": [0.5, "shuffle", None], "share": [0.1, 0.2, 0.3]})
    report.to_parquet(frame, tmp_path / "a.parquet")
    found = pandas.read_parquet(tmp_path / "a.parquet")
    assert found["best"].tolist()[:2] == ["0.5", "shuffle"]
    assert found["best"].isna().tolist() == [False, False, True]
