"""python -m gradcheck: prove the toy, every operation, whole networks, and somebody's homework."""

import argparse
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from gradcheck.budget import BUDGET, BudgetSpent, limited
from gradcheck.course import ACTIVATION_CLASSES, TargetError, opened, theirs
from gradcheck.homework import HomeworkResult, run_homework
from gradcheck.homeworktext import homework_json, homework_text
from gradcheck.layer import quiet
from gradcheck.pair import check_pair, parse_shape
from gradcheck.report import SCHEMA, suite_json, suite_text, toy_json, toy_text
from gradcheck.source import Source
from gradcheck.suite import NETWORK_TARGET, check_networks, check_operations
from gradcheck.toycheck import run_toy
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Finding

CHECK = "check"
"""The command that a target alone means."""

TAKE_A_VALUE = ("--seed", "--budget", "--shape")

ALL_PASS, SOMETHING_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m gradcheck",
        description="Prove gradients: the toy's numbers, every operation, whole networks.",
        epilog="Exit status: 0 all pass, 1 something does not, 2 usage, 130 interrupted.",
    )
    add_common(top)
    commands = top.add_subparsers(dest="command", metavar="command")
    toy = commands.add_parser(
        "toy", help="each output and gradient of the toy network, beside its published value"
    )
    add_common(toy, default=argparse.SUPPRESS)
    toy.add_argument("--activation", choices=tuple(ACTIVATION_CLASSES), default="relu")
    toy.add_argument(
        "--batchnorm",
        type=int,
        choices=range(4),
        default=0,
        metavar="N",
        help="batchnorm in the first N of the three layers; the rows are one batch",
    )
    toy.add_argument(
        "--target",
        default=NETWORK_TARGET,
        metavar="MODULE:CLASS",
        help="an implementation with the course's interface (default %(default)s)",
    )
    check = commands.add_parser(
        CHECK, help="a homework or a pair of functions: path/to/hw1.py:MLP, module:function"
    )
    add_common(check, default=argparse.SUPPRESS)
    check.add_argument("target", metavar="TARGET", help="the word `check` may be left out")
    check.add_argument(
        "--quiet", action="store_true", help="only what does not pass, each mistake once"
    )
    check.add_argument(
        "--budget",
        type=seconds,
        default=BUDGET,
        metavar="S",
        help="seconds for it all (%(default)s)",
    )
    check.add_argument(
        "--shape",
        type=parse_shape,
        action="append",
        default=[],
        metavar="NAME=4,3",
        help="of an argument of a function pair",
    )
    for name, text in (("ops", "every operation"), ("networks", "whole networks")):
        add_common(commands.add_parser(name, help=text), default=argparse.SUPPRESS)
    catalogue = commands.add_parser(
        "catalogue", help="planted bugs and correct functions: what the checker says of them"
    )
    add_common(catalogue, default=argparse.SUPPRESS)
    catalogue.add_argument(
        "--peers", action="store_true", help="other packages' checkers on the same cases, too"
    )
    catalogue.add_argument(
        "--only", metavar="SLUG", help="the cases of one cause, or of one family"
    )
    return top


def add_common(command: argparse.ArgumentParser, default: Any = None) -> None:
    """Options that stand before or after the command's name."""
    suppressed = default is argparse.SUPPRESS
    command.add_argument(
        "--json",
        action="store_true",
        default=default if suppressed else False,
        help="print JSON instead of text",
    )
    command.add_argument(
        "--seed",
        type=seed,
        default=default if suppressed else 0,
        metavar="S",
        help="seed of every random draw (0)",
    )


def seconds(text: str) -> float:
    """A positive number."""
    value = float(text)
    if not value > 0:
        raise ValueError(text)
    return value


def with_command(arguments: Sequence[str]) -> list[str]:
    """The arguments; a target that stands alone is one of the command `check`."""
    for i, argument in enumerate(arguments):
        is_value = i > 0 and arguments[i - 1] in TAKE_A_VALUE
        if is_value or argument.startswith("-"):
            continue
        if ":" in argument or argument.endswith(".py") or os.path.isdir(argument):
            # After options that stand before it, which the whole program has, or the command.
            return [CHECK, *arguments[:i], *arguments[i:]]
        return list(arguments)
    return list(arguments)


def seed(text: str) -> int:
    """A whole number from 0 on."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


class CompileNotice(logging.Handler):
    """Tells on stderr what is being compiled, since the first run waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.start = 0.0
        self.announced = False
        has_terminal = sys.stderr is not None and sys.stderr.isatty()
        self.is_terminal = has_terminal and os.environ.get("TERM") != "dumb"

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not message.startswith("compiling"):
            self.write(f"{message}\n")
            return
        if not self.announced:
            self.write("compiling the kernels: the first run only, later ones load them\n")
        if self.count == 0:
            self.start = time.perf_counter()
        self.announced = True
        self.count += 1
        if self.is_terminal:
            self.write(f"\r\033[K  {self.count} {message}")

    def done(self) -> None:
        if self.count:
            seconds = time.perf_counter() - self.start
            clear = "\r\033[K" if self.is_terminal else ""
            self.write(f"{clear}compiled {self.count} functions within {seconds:.1f} s\n")
            self.count = 0

    @staticmethod
    def write(text: str) -> None:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(with_command(sys.argv[1:] if argv is None else argv))
    notice = CompileNotice()
    log = logging.getLogger("backproof")
    log.addHandler(notice)
    log.setLevel(logging.INFO)
    try:
        status = run(options, notice)
        sys.stdout.flush()
        return status
    except TargetError as error:
        notice.write(f"gradcheck: {error}\n")
        return USAGE
    except KeyboardInterrupt:
        notice.write("gradcheck: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOMETHING_FAILED
    except ValueError:
        if sys.stdout is None or not sys.stdout.closed:
            raise
        notice.write("gradcheck: their code has closed stdout: nothing can be written\n")
        return SOMETHING_FAILED
    finally:
        log.removeHandler(notice)


def run(options: argparse.Namespace, notice: CompileNotice) -> int:
    command = options.command
    if command == CHECK:
        return run_target(options)
    if command == "catalogue":
        from gradcheck.catalogue.command import run as run_catalogue

        return run_catalogue(options.seed, options.only, options.peers, options.json)
    if command == "toy":
        result = run_toy(options.target, options.activation, options.batchnorm, options.seed)
        notice.done()
        print(
            json.dumps(toy_json(result), indent=2, allow_nan=False)
            if options.json
            else toy_text(result)
        )
        return ALL_PASS if result.verdict == PASS else SOMETHING_FAILED

    document: dict[str, object] = {"schema": SCHEMA, "seed": options.seed}
    verdicts = []
    if command is None:
        result = run_toy(seed=options.seed)
        notice.done()
        document["toy"] = toy_json(result)
        verdicts.append(result.verdict)
        if not options.json:
            print(
                f"toy: {result.matched} of {result.expected} published numbers reproduced",
                flush=True,
            )
            for mismatch in result.mismatches():
                print(f"  {mismatch}")
    for name, title, checks in (
        ("ops", "operations", check_operations),
        ("networks", "networks", check_networks),
    ):
        if command in (None, name):
            text, reports = suite_text(title, checks(options.seed))
            notice.done()
            document[title] = suite_json(reports)
            verdicts += [report.verdict for report in reports]
            if not options.json:
                print(text, flush=True)
    passed = all(verdict == PASS for verdict in verdicts)
    if options.json:
        print(
            json.dumps(document | {"verdict": PASS if passed else FAIL}, indent=2, allow_nan=False)
        )
    else:
        print("all pass" if passed else "NOT all pass")
    return ALL_PASS if passed else SOMETHING_FAILED


def run_target(options: argparse.Namespace) -> int:
    """Check a target within its budget; importing it counts."""
    try:
        with quiet(), limited(options.budget):
            return run_class_or_pair(options)
    except BudgetSpent as spent:
        problem = Finding("importing it", INCONCLUSIVE, note=str(spent))
        tell_homework(HomeworkResult(options.target, options.seed, problems=(problem,)), options)
        return SOMETHING_FAILED


def run_class_or_pair(options: argparse.Namespace) -> int:
    """A class is a homework; anything else that can be called is half of a pair."""
    source = imported(options.target)
    if source is None or isinstance(source.value, type):
        with theirs(options.target, "the check"):
            result = run_homework(options.target, options.seed, options.budget, source)
        tell_homework(result, options)
        return ALL_PASS if result.verdict == PASS else SOMETHING_FAILED
    with theirs(options.target, "the check"):
        report = check_pair(source, dict(options.shape), options.seed, options.budget)
    print(report.to_json() if options.json else report)
    return ALL_PASS if report else SOMETHING_FAILED


def imported(target: str) -> Source | None:
    """The target, imported once; None for what cannot be imported, which is told as a homework."""
    try:
        return opened(target)
    except TargetError as error:
        if error.__cause__ is None:
            raise
        return None


def tell_homework(result: HomeworkResult, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(homework_json(result), indent=2, allow_nan=False))
    else:
        print(homework_text(result, options.quiet))


def end_at_once(*_: Any) -> None:
    """Ctrl-C as a process: nothing is half done that anybody would have to undo.

    An exception could rise anywhere in a compilation, whose objects then complain one by one
    while they are cleared away.
    """
    os.write(2, b"gradcheck: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
    # Compiling makes millions of objects that stay: looking among them for garbage again and
    # again takes a tenth of the time.
    gc.set_threshold(200_000, 50, 50)
    sys.exit(main())
