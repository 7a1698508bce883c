"""Ratios, tables and the README's block, from rows made by hand."""

import json

import numpy as np
import pytest

from bench import chart, readme
from bench.ceilings import Ceilings
from bench.machine import description, sentence
from bench.networks import grid
from bench.results import Results
from bench.rows import Row
from bench.table import Table, micro, percent, show, times
from bench.tables import all_tables, steps
from bench.timing import Timing

CEILINGS = Ceilings(
    multiply_add={"float32": 100e9, "float64": 50e9},
    in_cache={"copy": 2e11, "triad": 1e11},
    out_of_cache={"copy": 2e10, "triad": 1e10},
)


def timing(seconds):
    return Timing(seconds, seconds, seconds, 1)


def row(case="toy", goal=2.0, flop=1000, **seconds):
    times = {name.replace("_", " "): timing(value) for name, value in seconds.items()}
    return Row(case=case, times=times, goal=goal, flop=flop, description="2-3-2, batch 1, relu")


def test_the_ratio_is_the_fastest_peers_time_over_ours():
    won = row(backproof=2e-6, NumPy=9e-6, PyTorch=6e-6)
    assert won.best == "PyTorch"
    assert won.ratio == pytest.approx(3)
    assert not won.is_lost
    assert row(backproof=2e-6, NumPy=1e-6).is_lost


def test_another_of_ours_is_no_peer():
    assert row(backproof=2e-6, backproof_fit=1e-6, NumPy=4e-6).best == "NumPy"


def test_what_was_not_measured_has_no_ratio():
    assert row(backproof=1e-6).ratio is None
    assert row(NumPy=1e-6).ratio is None
    assert not row(NumPy=1e-6).is_lost


def test_the_share_is_of_the_ceiling():
    assert row(flop=1000, backproof=20e-9).share(100e9) == pytest.approx(0.5)


def test_the_steps_table_names_what_is_lost_and_what_is_absent():
    rows = [row("won", 2.0, backproof=1e-6, NumPy=3e-6), row("lost", backproof=4e-6, jax=2e-6)]
    rows[0].notes = rows[1].notes = ["torch is left out: torch is not installed"]
    table = steps("Steps", rows, CEILINGS)
    assert table.rows[0][-3:] == ["3.00×", "2× ✓", "1 %"]
    assert table.rows[1][-3] == "**0.50×**"
    assert table.rows[1][3:5] == ["–", "2"]
    assert table.notes == [
        "A peer is faster in 1 of 2 rows: lost (jax, 0.50×).",
        "torch is left out: torch is not installed.",
    ]


def test_a_peer_that_is_absent_everywhere_is_no_victory():
    assert steps("Steps", [row(backproof=1e-6)], None).notes[0] == "No peer to compare with."


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.234e-7, "0.523"), (1.189e-5, "11.9"), (4.352e-3, "4 352"), (None, "–")]
)
def test_microseconds(seconds, text):
    assert micro(seconds) == text


def test_ratios_and_shares():
    assert [times(r) for r in (0.5, 2, 31.4, None)] == ["**0.50×**", "2.00×", "31×", "–"]
    assert [percent(s) for s in (0.5, 0.002, None)] == ["50 %", "0.2 %", "–"]


def test_a_table_in_markdown():
    table = Table("Title", ["a", "b"], [["x", "1"]], ["Why."])
    assert table.markdown() == "| a | b |\n| :-- | --: |\n| x | 1 |\n\nWhy."


def test_a_table_without_rich_is_markdown(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "rich.console", None)
    show(Table("Title", ["a", "b"], [["x", "1"]]))
    assert "| x | 1 |" in capsys.readouterr().out


def results():
    rows = [row(backproof=1e-6, NumPy=3e-6)]
    return Results(description(), "wall", CEILINGS, {"steps": rows, "loops": []})


def test_results_survive_the_file(tmp_path):
    before = results()
    before.save(tmp_path / "results.json")
    after = Results.load(tmp_path / "results.json")
    assert after == before
    assert json.loads((tmp_path / "results.json").read_text())["clock"] == "wall"


def test_the_readmes_block_is_replaced_and_nothing_else():
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
    new = readme.replace_block(text, "new")
    assert new == f"before\n{readme.BEGIN}\nnew\n{readme.END}\nafter\n"
    assert readme.replace_block(new, "new") == new


@pytest.mark.parametrize(
    "text", ["", readme.BEGIN, f"{readme.END}{readme.BEGIN}", 2 * f"{readme.BEGIN}{readme.END}"]
)
def test_a_readme_without_its_markers_is_refused(text):
    with pytest.raises(ValueError, match="each once"):
        readme.replace_block(text, "new")


def test_the_block_says_the_machine_and_every_section():
    block = readme.block(results(), "docs/crossover.png")
    assert sentence(description()) in block
    assert "| toy | 2-3-2, batch 1, relu | 1 | 3 | 3.00× | 2× ✓ |" in block
    assert block.endswith("(docs/crossover.png)")


def test_processor_time_is_confessed():
    shared = results()
    shared.clock = "processor"
    assert "The machine was shared" in readme.block(shared, None)


def test_the_readme_has_its_markers():
    text = readme.README.read_text()
    assert readme.replace_block(text, "x").count("x\n" + readme.END) == 1


def test_a_section_without_rows_has_no_table():
    assert list(all_tables(results())) == ["ceilings", "steps"]


@pytest.mark.parametrize("has_batchnorm", [False, True])
def test_every_point_of_the_grid_is_in_the_chart(has_batchnorm):
    rows = [
        Row(case=n.name, times={"backproof": timing(1.0), "NumPy": timing(float(n.batch))})
        for n in grid()
        if n.batchnorm == has_batchnorm
    ]
    values = chart.ratios(rows, has_batchnorm)
    assert values.shape == (6, 5)
    assert values[0].tolist() == [4 if has_batchnorm else 1, 8, 32, 128, 1024]
    assert not np.isfinite(chart.ratios(rows, not has_batchnorm)).any()
