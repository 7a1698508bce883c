"""Maps of sweeps: means by hand, axes, the command."""

import json
import re

import numpy as np
import pytest

from mlp.__main__ import main
from mlp.stress import plot
from mlp.stress.grid import Grid
from mlp.stress.store import read
from mlp.stress.sweep import sweep
from mlp.stress.sweep_map import sweep_map
from tests.mlp.stress.test_page import parsed


def line(depth, lr, seed, overflow_pass, growth=0.5):
    cell = {"init": "he", "activation": "relu", "normalization": "none", "depth": depth,
            "width": 4, "lr": lr, "seed": seed}  # fmt: skip
    return {"cell": cell, "result": {"overflow_pass": overflow_pass,
                                     "log2_gradient_growth": growth}}  # fmt: skip


LINES = [line(10, 0.1, 0, 3), line(10, 0.1, 1, None), line(2, 0.1, 0, None, None),
         line(2, 1.0, 0, 7, "nan"), line(2, 1.0, 1, 9), line(30, 1.0, 0, 2)]  # fmt: skip


def test_means_are_those_of_the_cells():
    found = sweep_map(LINES)
    assert (found.x, found.y) == ("depth", "lr")
    assert (found.columns, found.rows) == ([2, 10, 30], [0.1, 1.0])
    np.testing.assert_array_equal(found.means, [[0, 0.5, np.nan], [1, np.nan, 1]])
    assert str(found).splitlines() == [
        "fraction that overflows: mean of 6 cells",
        "lr \\ depth  2   10  30",
        "       0.1  0  0.5   -",
        "       1.0  1    -   1",
    ]


def test_other_values_and_axes():
    found = sweep_map(LINES, "pass", x="lr", y="depth")
    np.testing.assert_array_equal(found.means, [[np.nan, 8], [3, np.nan], [np.nan, 2]])
    found = sweep_map(LINES, "gradient", x="width")
    assert found.y == "depth"
    np.testing.assert_array_equal(found.means, [[0.5], [0.5], [0.5]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"value": "overflw"}, r"did you mean 'overflow'\?"), ({"x": "dept"}, "did you mean 'depth'"),
     ({"x": "lr", "y": "lr"}, "x and y are both 'lr'")],
)  # fmt: skip
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        sweep_map(LINES, **settings)


def test_nothing_is_no_map():
    with pytest.raises(ValueError, match="a file without cells"):
        sweep_map([])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "results.jsonl"
    grid = Grid(init=("scaled:1:0.2", "scaled:3:0.2"), activation=("tanh",), depth=(3, 6),
                width=(8,), seeds=2, passes=2, batch=4)  # fmt: skip
    sweep(grid, path, visible=False)
    return path


@pytest.mark.compiled  # as plain Python it takes minutes
def test_command(results, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    picture = tmp_path / "a.png"
    assert main(["stress", "plot", str(results), "--value", "gradient", "--png", str(picture)]) == 0
    assert "growth backward, bits a layer: mean of 8 cells" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["stress", "plot", str(results), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["means"] == [[0.0, 0.0], [0.0, 0.0]]
    assert main(["stress", "plot", str(results), "--phase", "tanh", "--png", str(picture)]) == 0
    assert "2 points" in capsys.readouterr().out
    for options in ([], ["--phase", "tanh"]):
        place = tmp_path / "page.html"
        assert main(["stress", "plot", str(results), *options, "--html", str(place)]) == 0
        assert parsed(place.read_text())


@pytest.mark.compiled  # as plain Python it takes minutes
@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["missing.jsonl"], "No such file"),
     (["{results}", "--phase", "tanh"], "has no --png or --html FILE"),
     (["{results}", "--phase", "relu", "--png", "a.png"], "has no cell of it"),
     (["{results}", "--png", "missing/a.png"], "cannot be written")],
)  # fmt: skip
def test_command_refuses(results, arguments, message, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    arguments = [argument.format(results=results) for argument in arguments]
    assert main(["stress", "plot", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_picture_says_what_is_missing():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    figure = plot.sweep_heat_map(sweep_map(LINES))
    (image,) = figure.axes[0].images
    np.testing.assert_array_equal(
        image.get_array().mask, [[False, False, True], [False, True, False]]
    )
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "0.5", "1", "1"]


@pytest.mark.compiled  # as plain Python it takes minutes
def test_file_of_a_sweep_is_read(results):
    _, lines = read(results)
    assert sweep_map(lines, "dead").means.shape == (2, 2)


@pytest.mark.compiled  # as plain Python it takes minutes
def test_depth_draws_its_picture_and_its_page(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    picture, small = tmp_path / "a.png", ["stress", "--depth", "3", "--width", "4", "--seeds", "2"]
    page = tmp_path / "a.html"
    assert main([*small, "--png", str(picture), "--html", str(page)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    parsed(text)
    assert "theory of wide layers" in text
    assert "bits a layer" in text
    assert not re.search(r"(src|href)=\"(?!#)", text.replace('xlink:href="#', ""))
    assert main([*small, "--html", str(page)]) == 0
    assert page.read_text() == text
    assert main([*small, "--chart"]) == 2
    assert "--chart is an option of the toy" in capsys.readouterr().err
