"""`python -m gradcheck catalogue`: run, print, and say by the exit status how it went."""

import json
import sys
import time

from gradcheck.catalogue.run import dict_of, run_catalogue, text_of

ALL_RIGHT, SOMETHING_WRONG, USAGE = 0, 1, 2


def run(seed: int = 0, only: str | None = None, peers: bool = False, as_json: bool = False) -> int:
    """Run the catalogue; status 0 where no bug passes and no correct function fails."""
    began = time.perf_counter()
    tally = run_catalogue(seed, only)
    seconds = time.perf_counter() - began
    if not tally.bugs and not tally.rights:
        sys.stderr.write(f"gradcheck catalogue: no cause and no family is named {only!r}\n")
        return USAGE
    document = dict_of(tally, seconds, seed)
    if not as_json:
        print(text_of(tally, seconds, seed), flush=True)
    if peers:
        from gradcheck.catalogue.peers import compare, markdown

        comparison = compare(tally, seed)
        document["peers"] = comparison
        if not as_json:
            print("\n" + markdown(comparison), flush=True)
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    return ALL_RIGHT if tally.is_perfect else SOMETHING_WRONG
