"""One run: measure the sections that were asked for, show them, write them."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import ceilings, chart, elementwise, grid, machine, products, published, readme, steps
from bench.networks import LOOPS, STEPS
from bench.progress import say
from bench.results import Results
from bench.rows import Row
from bench.settings import released
from bench.table import show as show_table
from bench.tables import all_tables
from bench.timing import QUICK, Budget, Clock

ROOT = Path(__file__).parents[1]

BUDGETS = {
    "ceilings": Budget(seconds=1.5),
    "steps": Budget(seconds=6, least=9),
    "threads": Budget(seconds=10, least=9, pause=0.05),
    "grid": Budget(seconds=3, least=5),
    "published": Budget(seconds=3),
    "products": Budget(seconds=0.25, least=5),
    "elementwise": Budget(seconds=0.2, least=5),
}

THREADS = 2


def measure(chosen: argparse.Namespace) -> Results:
    if chosen.clock == "processor":
        Clock.count_processor_seconds()
    if chosen.earlier:
        results = Results.load(chosen.earlier)
    else:
        results = Results(machine.description(), chosen.clock)
    budget = {name: QUICK if chosen.quick else given for name, given in BUDGETS.items()}
    cases = chosen.only.split(",") if chosen.only else list(STEPS)
    if chosen.threads > 1:
        results.sections["threads"] = steps.measure(budget["threads"], chosen.threads, cases)
        return results
    if chosen.sections:
        say("ceilings")
        results.ceilings = ceilings.measure(budget["ceilings"])
    for section in chosen.sections:
        results.sections |= measure_section(section, budget, cases, chosen.quick)
        if chosen.json:
            results.save(chosen.json)  # a long run that breaks off keeps what it has
    return results


def measure_section(section: str, budget: dict, cases: list[str], quick: bool) -> dict:
    if section == "steps":
        rows = {"steps": steps.measure(budget["steps"], names=cases)}
        if loops := [name for name in cases if name in LOOPS]:
            rows["loops"] = steps.measure_loops(budget["steps"], loops)
        return rows
    if section == "grid":
        return {"grid": grid.measure(budget["grid"], 4 if quick else None)}
    if section == "published":
        return {"published": published.measure(budget["published"])}
    if section == "threads":
        return {"threads": measure_threads(cases, quick)}
    sizes, places = products.SIZES, (ceilings.IN_CACHE, ceilings.OUT_OF_CACHE)
    if quick:
        sizes, places = sizes[:8], places[:1]
    return {
        "products": products.measure(budget["products"], sizes),
        "elementwise": elementwise.measure(budget["elementwise"], places),
    }


def measure_threads(cases: list[str], quick: bool) -> list[Row]:
    """In a process of its own, because libraries count their threads when they are loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "threads.json"
        command = [sys.executable, "-m", "bench", "threads", "--threads", str(THREADS)]
        command += ["--only", ",".join(cases), "--json", str(path)] + ["--quick"] * quick
        with released():
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return Results.load(path).sections["threads"]


def show(results: Results) -> None:
    print(machine.sentence(results.machine))
    if results.clock != "wall":
        print("Processor time, not wall time: the machine was shared.")
    for tables in all_tables(results).values():
        for table in tables:
            show_table(table)


def write(results: Results) -> None:
    """Into the README; the chart only where the grid was measured."""
    place = None
    if rows := results.sections.get("grid"):
        chart.draw(rows)
        place = chart.PATH.relative_to(ROOT).as_posix()
    readme.write(results, place)
