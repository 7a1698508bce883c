"""The wrong entry of a large array."""

import numpy as np
import pytest

from gradcheck import check


@pytest.mark.parametrize(("index", "error"), [((0, 0), 1e-4), ((517, 33), 0.5), ((999, 999), 1e-4)])
def test_one_wrong_entry_of_a_million_is_found(index, error):
    calls, seen = [], []

    def forward(w):
        calls.append(1)
        return (w * w).sum(axis=0)

    def backward(dy, w):
        dw = 2 * w * dy
        dw[index] += error * dy[index[1]]
        seen.append(dy[index[1]])
        return (dw,)

    w = np.random.default_rng(3).standard_normal((1000, 1000))
    report = check(forward, backward, [w], ["w"])
    (finding,) = report.findings
    assert finding.verdict == "fail"
    assert finding.where == str(index)
    assert finding.analytic - finding.numeric == pytest.approx(error * seen[0], rel=1e-3)
    assert finding.causes[0].slug == "entries-wrong"
    assert int(finding.note.split()[2]) <= 40
    assert report.calls == len(calls)


def test_a_block_shows_the_pattern(rng):
    w = rng.standard_normal((300, 40))
    report = check(lambda w: w.sum(0), lambda dy, w: (-np.tile(dy, (300, 1)),), [w], ["w"])
    (finding,) = report.findings
    assert finding.causes[0].slug == "sign-flipped"
    known = np.isfinite(finding.detail.numeric)
    assert 100 < known.sum() <= 150
    assert finding.detail.excess.shape == w.shape
