"""python docs/predictions.py: measures the published predictions and prints docs/stress.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mlp.stress.predictions import ERRORS, PREDICTIONS, Row

HEAD = f"""# Published predictions about random networks, measured

`python docs/predictions.py > docs/stress.md` makes this table. Each prediction is of the limit of
great width, so each is measured at several widths n. A row holds if measured and predicted differ
by at most {ERRORS} standard errors over the seeds, or by the stated allowance c/n for a finite
width. Tests of the same names are in `tests/mlp/stress/test_predictions.py`.

The gradient correlation is measured under the assumption of its source, that units are active
independently for the two inputs, in a study of its own: the library's network has no residual
connections. The factor 1.81 of batchnorm at batch 8 is not a closed form but a published
simulation.

| prediction | n | measured | standard error | predicted | allowance | holds |
|---|---|---|---|---|---|---|"""


def line(row: Row) -> str:
    numbers = (row.measured, row.error, row.predicted, row.allowance)
    cells = [row.what, str(row.width), *(f"{number:.3g}" for number in numbers)]
    cells[2], cells[4] = f"{row.measured:.4g}", f"{row.predicted:.4g}"
    return f"| {' | '.join([*cells, 'yes' if row.holds else 'NO'])} |"


def main() -> None:
    print(HEAD)
    for measure in PREDICTIONS.values():
        for row in measure():
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
