"""python -m mlp warmup: compile everything now, so that nothing waits for it later.
python -m mlp stress: gradient explosion across passes and layers.
"""

import argparse
import gc
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from kernels.cache import LIBRARY, cache_directory
from kernels.jit import COMPILES
from kernels.op import OPS
from mlp.arguments import DTYPES, by_name
from mlp.link import compile_all
from mlp.network import MLP
from mlp.progress import Progress, is_terminal
from mlp.stress import command

DONE, USAGE, INTERRUPTED = 0, 2, 130

ENGINE = "engine"
"""The network's compiled loops, among the names of the operations."""


class Compilations(logging.Handler):
    """Counts what is compiled rather than loaded; passes warnings on."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            sys.stderr.write(f"{record.getMessage()}\n")
        elif record.getMessage().startswith("compiling"):
            self.count += 1


def warm_up(names: Iterable[str], dtypes: Sequence[np.dtype]) -> Iterator[str]:
    """Compile or load the operations of these names, and the engine; tells what comes next."""
    for name in names:
        for dtype in dtypes:
            yield f"{name} {dtype}"
            if name == ENGINE:
                compile_all(dtype)
                net = MLP(2, 2, dtype=dtype)
                net.forward(np.zeros((1, 2), dtype))
            else:
                sample = OPS[name].sample(np.random.default_rng(0), dtype)
                call_both(name, sample)


def call_both(name: str, sample: dict[str, Any]) -> None:
    """Forward and, where there is one, backward, as Python calls them."""
    op = OPS[name]
    outputs = op.value(*sample.values())
    if op.backward is not None:
        op.vjp(outputs, *sample.values())


def run(names: Sequence[str], dtypes: Sequence[np.dtype]) -> None:
    """Warm up and say how it went."""
    compilations = Compilations()
    log = logging.getLogger("backproof.compile")
    level = log.level
    log.addHandler(compilations)
    log.setLevel(logging.INFO)
    start = time.perf_counter()
    total = len(names) * len(dtypes)
    try:
        with Progress(total, visible=is_terminal()) as progress:
            for done, title in enumerate(warm_up(names, dtypes)):
                progress.update(done, title.__str__)
    finally:
        log.removeHandler(compilations)
        log.setLevel(level)
    print(summary(total, compilations.count, time.perf_counter() - start))


def summary(total: int, compiled: int, seconds: float) -> str:
    """What was done, how long it took, and where it is kept."""
    if not COMPILES:
        return "NUMBA_DISABLE_JIT is set: nothing is compiled"
    directories = [cache_directory(package) for package in LIBRARY]
    kept = ", ".join(str(directory) for directory in directories if directory is not None)
    found = f"{compiled} functions compiled" if compiled else "all was compiled already, and loaded"
    where = f"kept in {kept}" if kept else "kept nowhere: no directory for them can be written"
    return f"{total} of {total} ready in {seconds:.1f} s: {found}; {where}"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"mlp: {message}\n")


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="python -m mlp", epilog="Exit status: 0 done, 2 usage, 130 interrupted.")
    commands = top.add_subparsers(dest="command", metavar="command")
    warm = commands.add_parser(
        "warmup",
        help="compile every kernel and the engine, so that nothing waits for it later",
        description="Compile every kernel and the engine, or load what is compiled already.",
    )
    warm.add_argument("--dtype", choices=[d.name for d in DTYPES], help="only this one")
    warm.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"only these: operations of kernels.OPS, and {ENGINE!r} for the network's loops",
    )
    stress = commands.add_parser(
        "stress",
        help="repeat forward, backward and update on the toy until it explodes, and say why",
        description="Gradient explosion across many passes of the toy, or across the layers of "
        "random networks: measured, predicted, explained.",
    )
    command.add_arguments(stress)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(argv)
    if options.command is None:
        parser().print_help()
        return DONE
    known = [*OPS, ENGINE]
    try:
        if options.command == "stress":
            print(command.stress(options), flush=True)
            return DONE
        names = [by_name("warmup: name", name, known) for name in options.names] or known
        dtypes = [d for d in DTYPES if options.dtype in (None, d.name)]
        run(names, dtypes)
    except (TypeError, ValueError) as error:
        sys.stderr.write(f"mlp: {error}\n")
        return USAGE
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        sys.stderr.write("mlp: interrupted\n")
        return INTERRUPTED
    return DONE


if __name__ == "__main__":
    # Compiling makes millions of objects that stay: looking among them for garbage again and
    # again takes a tenth of the time.
    gc.set_threshold(200_000, 50, 50)
    sys.exit(main())
