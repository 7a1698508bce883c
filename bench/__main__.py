"""`python -m bench`: ours beside its peers, as tables; `--write` puts them in the README."""

import argparse
import sys
from pathlib import Path

from bench.settings import hold_to

SECTIONS = ("steps", "grid", "kernels", "published", "threads")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="section",
        help=f"any of {', '.join(SECTIONS)}; all where nothing is asked for",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a smoke run: too short to read")
    parser.add_argument("--only", metavar="CASES", help="of the steps: toy1,mnist")
    parser.add_argument("--json", type=Path, metavar="PATH", help="keep what was measured")
    parser.add_argument(
        "--from", dest="earlier", type=Path, metavar="PATH",
        help="begin with what was kept; without sections nothing is measured",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="tables and chart into the README")
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall",
        help="processor: on a machine that others use meanwhile; one thread only",
    )  # fmt: skip
    chosen = parser.parse_args(given)
    if unknown := set(chosen.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    if not chosen.sections and not chosen.earlier:
        chosen.sections = list(SECTIONS)
    return chosen


def main(given: list[str] | None = None) -> int:
    chosen = arguments(given)
    hold_to(chosen.threads)
    # Only now may anything be imported that sizes its pools when it is loaded.
    from bench import run

    results = run.measure(chosen)
    if chosen.json:
        results.save(chosen.json)
    run.show(results)
    if chosen.write:
        run.write(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
