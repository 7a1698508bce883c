"""python -m mlp stress: what it prints, and its exit status."""

import json
import re

import pytest

from mlp.__main__ import main


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_text_says_what_happens(capsys):
    assert main(["stress", "--passes", "30", "--lr", "0.008"]) == 0
    text = capsys.readouterr().out
    assert "The exponent doubles every pass" in text
    assert "float32 overflows at pass 4, float64 overflows at pass 7" in text
    assert "first in layer 3's preactivation" in text
    assert "predicted at pass 2" in text
    for remedy in ("initialisation", "learning rate", "clipping"):
        assert f"{remedy}: " in text


def test_columns_stay_apart_however_large_the_exponents(capsys):
    assert main(["stress", "--passes", "30", "--extended"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("pass"))
    for line in lines[start : start + 31]:
        assert len(line.split()) == 5  # pass, output, three gradients
    assert re.fullmatch(r"\d\.\de\+\d{10,}", lines[start + 30].split()[1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], (7, 7, 2)),
        (["--dtype", "float32"], (4, 4, 2)),
        (["--input", "batch"], (7, 7, 2)),
        (["--extended"], (7, 7, 2)),
        (["--activation", "tanh"], (None, None, None)),
        (["--activation", "sigmoid", "--input", "batch", "--batchnorm"], (None, None, None)),
    ],
)
def test_json_is_strict(capsys, options, expected):
    assert main(["stress", "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    keys = ("overflow_pass", "forecast_pass", "forecast_made_at")
    assert tuple(found[key] for key in keys) == expected
    first = found["first_nonfinite"]
    if expected[0] is None:
        assert first is None
        assert len(found["series"]["loss"]) == 30
    else:
        assert (first["pass"], first["layer"], first["tensor"]) == (expected[0], 3, "preactivation")


@pytest.mark.compiled
def test_depth(capsys):
    assert main(["stress", "--depth", "6", "--width", "8", "--seeds", "3"]) == 0
    assert "bits a layer" in capsys.readouterr().out
    assert main(["stress", "--depth", "6", "--width", "8", "--seeds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert len(found["forward"][0]) == 6
    assert found["forward_interval"]["low"][0] == "-inf"


@pytest.mark.parametrize(
    "options",
    [["--passes", "0"], ["--depth", "0"], ["--depth", "3", "--width", "0"], ["--lr", "-1"],
     ["--activation", "rellu"], ["--batchnorm"], ["--depth", "2", "--init", "xaver"],
     ["--depth", "2", "--width", "100000000"], ["plot", "."],
     ["sweep", "--depth", "9..3", "--out", "never.jsonl"]],
    ids=str,
)  # fmt: skip
def test_bad_options(capsys, options):
    assert main(["stress", *options]) == 2
    message = capsys.readouterr().err
    assert message.startswith("mlp: ")
    assert message.count("\n") == 1
