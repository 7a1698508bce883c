"""What is being measured now, for whoever waits."""

import sys


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
