"""The toy's explosion, drawn: as a picture (docs/explosion.png), or in the terminal without
matplotlib.
"""

import sys
from pathlib import Path

from mlp import stress
from mlp.stress import plot
from mlp.stress.terminal import explosion

PICTURE = Path(__file__).parents[1] / "docs" / "explosion.png"


def main(path: str | Path = PICTURE) -> None:
    """Thirty passes were asked for; the seventh is the last."""
    study = stress.run(passes=30)
    print(explosion(study))
    try:
        plot.save(plot.norm_against_pass(study), path)
    except ImportError as error:
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
