"""Right on a part of the domain only."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import L, Mistake, S, changed


def regions_of_values() -> Iterator[Mistake]:
    def tanh_back(dy, x):
        return dy * (1 - np.tanh(x) ** 2)

    for shape in (S, L, (40,)):
        yield Mistake(
            "leaky",
            lambda x: np.where(x > 0, x, 0.1 * x),
            lambda dy, x: (dy * (x > 0),),
            (shape,),
            "region-wrong",
        )
    yield Mistake(
        "beyond 6",
        np.tanh,
        lambda dy, x: (tanh_back(dy, x) * (1 + (abs(x) > 6)),),
        ((8, 9),),
        "region-wrong",
        size=4.0,
    )
    yield Mistake(
        "x > 1",
        np.sin,
        lambda dy, x: (dy * np.cos(x) * (1 - 0.5 * (x > 1)),),
        ((8, 9),),
        "region-wrong",
    )


def regions_of_entries() -> Iterator[Mistake]:
    yield Mistake(
        "a row", np.sin, lambda dy, x: (changed(dy * np.cos(x), 2, 1.5),), (S,), "region-wrong"
    )
    yield Mistake(
        "first column",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), np.s_[:, 0], 0.0),),
        (L,),
        "region-wrong",
    )
    yield Mistake(
        "one entry",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), (1, 2), 1.5),),
        (S,),
        "entries-wrong",
    )
    yield Mistake(
        "one entry of many",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), (17, 21), 1.5),),
        (L,),
        "entries-wrong",
    )
    for n in (13, 29, 100, 1003):
        yield Mistake(
            f"tail of {n}",
            np.sin,
            lambda dy, x: (changed(dy * np.cos(x), np.s_[len(x) // 8 * 8 :], 0.0),),
            ((n,),),
            "tail-not-computed",
        )
    yield Mistake(
        "tail of columns",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), np.s_[:, 4:], 0.0),),
        ((6, 7),),
        "tail-not-computed",
    )
