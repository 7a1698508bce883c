"""A page with the heat map of a mistake: python examples/heatmap.py [report.html]

In a notebook the same is shown where a cell ends with `report`.
"""

import sys

import numpy as np

from gradcheck import Report, check


def affine(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    return x @ w + b


def affine_backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple:
    """The mistake: the last column of w gets the gradient of one sample too few."""
    dw = x.T @ dy
    dw[:, -1] -= x[0] * dy[0, -1]
    return dy @ w.T, dw, dy.sum(axis=0)


def report() -> Report:
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in ((6, 8), (8, 12), (12,))]
    return check(affine, affine_backward, inputs, names=["x", "w", "b"], title="affine")


def main(path: str = "report.html") -> None:
    """Write the page."""
    report().to_html(path)
    print(f"{path} is written")


if __name__ == "__main__":
    main(*sys.argv[1:])
