"""Pictures: what is drawn has the data's numbers, and the files are PNG."""

import builtins
import math

import numpy as np
import pytest

from mlp.stress import plot, run
from mlp.stress.cell import problem
from mlp.stress.curves import doubling
from mlp.stress.depth import depth
from mlp.stress.grid import Grid

pytest.importorskip("matplotlib", reason="matplotlib is not installed")


pytestmark = pytest.mark.compiled  # theory in plain Python takes minutes


@pytest.fixture(scope="module")
def study():
    return run(passes=30)


def lines_of(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def test_norm_against_pass(study, tmp_path):
    """The largest outputs of the toy are published: 1.5e3, 5.5e8, …, 5.2e173."""
    figure = plot.norm_against_pass(study)
    lines = lines_of(figure)
    expected = [math.log10(v) for v in (1.5e3, 5.5e8, 5.5e19, 5.4e41, 5.3e85, 5.2e173)]
    np.testing.assert_allclose(lines["largest |output|"].get_ydata()[:6], expected, atol=0.02)
    (x,), (y,) = lines["overflow in pass 7"].get_data()
    assert (x, y) == (7, pytest.approx(308.25, abs=0.01))
    plot.save(figure, tmp_path / "a.png")
    plot.save(plot.norm_against_pass(study), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_law_foretells_the_toy(study):
    """From passes 1 and 2 alone: the exponents of passes 3 to 6 to 2 %."""
    published = np.log2([1.5e3, 5.5e8, 5.5e19, 5.4e41, 5.3e85, 5.2e173])
    np.testing.assert_allclose(doubling(published[:2], 3, 6), published, rtol=0.02)
    assert "law from passes 1 and 2: exponent × 2" in lines_of(plot.norm_against_pass(study))


def test_several_seeds_get_an_interval():
    cells = Grid(depth=(2,), width=(8,), seeds=4, batch=4)
    studies = [run(*problem(cell), passes=3) for cell in cells]
    figure = plot.norm_against_pass(studies)
    (band, *_) = figure.axes[0].collections
    first = [s.of("output", "log2_max")[0, -1] * math.log10(2) for s in studies]
    half = 3.18244631 * np.std(first, ddof=1) / 2  # t of 3 degrees of freedom, √4 seeds
    ends = [p[1] for p in band.get_paths()[0].vertices if p[0] == 1]
    assert min(ends) == pytest.approx(np.mean(first) - half, rel=1e-6)
    assert max(ends) == pytest.approx(np.mean(first) + half, rel=1e-6)


def test_norm_against_layer(tmp_path):
    study = depth(6, 16, seeds=3)
    figure = plot.norm_against_layer(study)
    lines = lines_of(figure)
    theory = lines["outputs, theory of wide layers"].get_ydata()
    np.testing.assert_allclose(theory, theory[0], atol=1e-12)  # He keeps the mean square
    plot.save(figure, tmp_path / "a.png")


def test_heat_map(study, tmp_path):
    figure = plot.heat_map(study)
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (3, 7)
    assert shown.mask[:, 6].all()
    assert not shown.mask[:, :6].any()
    plot.save(figure, tmp_path / "a.png")


def test_phase_diagram(tmp_path):
    """The line χ = 1 goes through (√1.76, √0.05) (Schoenholz et al. 2017)."""
    figure = plot.phase_diagram("tanh", [(1.0, 0.2, -0.3), (3.0, 0.2, 0.5)], (1.0, 2.0), (0.1, 0.4))
    found = [
        path.vertices
        for drawn in figure.axes[0].collections
        if list(getattr(drawn, "levels", ())) == [1]
        for path in drawn.get_paths()
    ]
    distance = np.hypot(*(np.concatenate(found) - [math.sqrt(1.76), math.sqrt(0.05)]).T)
    assert distance.min() < 0.01
    plot.save(figure, tmp_path / "a.png")


def test_measured_cells():
    def line(init, growth):
        return {"cell": {"init": init}, "result": {"log2_gradient_growth": growth}}

    lines = [line("scaled:2:0.3", 1.0), line("scaled:2:0.3", 2.0), line("scaled:1", -1.0),
             line("he", 0.1), line("scaled:3", "nan"), line("scaled:4", None)]  # fmt: skip
    assert plot.measured_cells(lines) == [(2.0, 0.3, 1.5), (1.0, 0.0, -1.0)]


def test_without_matplotlib_the_way_out_is_named(study, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install 'backproof\\[plot\\]'.*terminal"):
        plot.norm_against_pass(study)


def test_a_place_that_cannot_be_written(study, tmp_path):
    with pytest.raises(OSError, match="missing/a.png cannot be written: No such"):
        plot.save(plot.heat_map(study), tmp_path / "missing" / "a.png")
