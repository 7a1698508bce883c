"""Each section's rows as a table."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench.ceilings import Ceilings
from bench.elementwise import STREAM, STREAM_GOAL
from bench.products import DTYPES, FORMS
from bench.products import GOALS as PRODUCT_GOALS
from bench.results import Results
from bench.rows import OURS, Row
from bench.steps import ONE_THREAD
from bench.table import Table, micro, percent, times


def notes_of(rows: Sequence[Row]) -> list[str]:
    """Each note once, with the cases that it is of unless it is of all."""
    cases = defaultdict(list)
    for row in rows:
        for note in dict.fromkeys(row.notes):
            cases[note].append(row.case)
    return [
        f"{note}." if len(where) == len(rows) else f"{note} ({', '.join(where)})."
        for note, where in cases.items()
    ]


def names_of(rows: Iterable[Row]) -> list[str]:
    """The peers among the rows, in order of first appearance."""
    names = dict.fromkeys(name for row in rows for name in row.times)
    return [name for name in names if not name.startswith(OURS)]


def time_of(row: Row, name: str) -> str:
    return micro(row.times[name].median) if name in row.times else "–"


def goal_of(row: Row) -> str:
    """The goal for the ratio, with a mark where it is met."""
    if row.goal is None:
        return "–"
    return f"{row.goal:g}×" + " ✓" * bool(row.ratio and row.ratio >= row.goal)


def lost(rows: Sequence[Row]) -> list[str]:
    """The rows where a peer is faster than we are."""
    found = [f"{r.case} ({r.best}, {r.ratio:.2f}×)" for r in rows if r.is_lost]
    compared = sum(row.ratio is not None for row in rows)
    if not compared:
        have_ours = any(row.seconds for row in rows)
        return ["No peer to compare with." if have_ours else "Ours could not be measured."]
    if not found:
        return [f"No peer is faster in any of {compared} rows."]
    return [f"A peer is faster in {len(found)} of {compared} rows: {', '.join(found)}."]


def steps(title: str, rows: Sequence[Row], ceilings: Ceilings | None) -> Table:
    peers = names_of(rows)
    peak = ceilings.multiply_add["float32"] if ceilings else None
    columns = ["case", "network", "ours µs", *(f"{name} µs" for name in peers)]
    table = Table(title, [*columns, "best peer / ours", "goal", "of ceiling"])
    for row in rows:
        cells = [row.case, row.description, micro(row.seconds)]
        cells += [time_of(row, name) for name in peers]
        cells += [times(row.ratio), goal_of(row), percent(row.share(peak)) if peak else "–"]
        table.rows.append(cells)
    table.notes = lost(rows) + notes_of(rows)
    return table


def threads(rows: Sequence[Row]) -> Table:
    """With more threads than one: what they gain us, and where the peers are then."""
    peers = names_of(rows)
    columns = ["case", "ours, 1 thread µs", "ours µs", "gain", *(f"{name} µs" for name in peers)]
    table = Table("Training steps with two threads", [*columns, "best peer / ours"])
    for row in rows:
        one = row.times[ONE_THREAD].median
        cells = [row.case, micro(one), micro(row.seconds), f"{one / row.seconds:.2f}×"]
        cells += [time_of(row, name) for name in peers] + [times(row.ratio)]
        table.rows.append(cells)
    table.notes = lost(rows) + notes_of(rows) + ["Goal: wide gains 1.8×."]
    return table


def published(rows: Sequence[Row]) -> Table:
    table = Table("Published figures", ["case", "network", "ours µs", "to beat µs"])
    for row in rows:
        for name in row.times or [row.ours]:
            way = name.removeprefix(OURS).strip()
            case = f"{row.case}, {way}" if way else row.case
            reached = name in row.times and row.times[name].median <= row.goal
            goal = micro(row.goal) + " ✓" * reached
            table.rows.append([case, row.description, time_of(row, name), goal])
    table.notes = notes_of(rows)
    return table


def lost_products(rows: Sequence[Row]) -> list[str]:
    """The sizes at which NumPy is faster, form by form."""
    sizes = defaultdict(list)
    for row in filter(lambda row: row.is_lost, rows):
        form, _, size = row.case.rpartition(" ")
        sizes[form].append(size)
    count = sum(map(len, sizes.values()))
    where = "; ".join(f"{form} at {', '.join(found)}" for form, found in sizes.items())
    return [f"NumPy is faster in {count} of {len(rows)} rows" + (f": {where}." if where else ".")]


def products(rows: Sequence[Row], ceilings: Ceilings | None) -> Table:
    """A line for each size; in each cell our share of the ceiling and the ratio to NumPy."""
    columns = [f"{form} {dtype}" for dtype in DTYPES for form in FORMS]
    table = Table("Matrix products: of the multiply-add ceiling, NumPy / ours", ["n", *columns])
    found = {row.case: row for row in rows}
    for size in dict.fromkeys(int(row.case.rpartition(" ")[2]) for row in rows):
        cells = [str(size)]
        for dtype in DTYPES:
            for form in FORMS:
                row = found[f"{form} {dtype} {size}"]
                share = row.share(ceilings.multiply_add[dtype]) if ceilings else None
                cell = f"{percent(share)}, {times(row.ratio).strip('*')}"
                cells.append(f"**{cell}**" if row.is_lost else cell)
        table.rows.append(cells)
    goals = [f"{percent(share)} at {size}" for size, share in PRODUCT_GOALS.items()]
    table.notes = [*lost_products(rows), f"Goals: {' and '.join(goals)}; NumPy at no size faster."]
    return table


def elementwise(group: str, rows: Sequence[Row]) -> Table:
    is_streaming = group.endswith("out of cache")
    columns = ["kernel", "ours ns/element", "PyTorch ns/element", "PyTorch / ours", "GB/s"]
    table = Table(group.capitalize(), columns + ["of stream"] * is_streaming)
    for row in rows:
        size = int(row.description.split(", ")[1].split()[0])
        read = int(row.description.split(", ")[2].split()[0])
        itemsize = 4 if row.description.startswith("float32") else 8
        per_element = [f"{1e9 * row.seconds / size:.3f}"]
        there = row.times.get("PyTorch")
        per_element.append(f"{1e9 * there.median / size:.3f}" if there else "–")
        rate = row.bytes / row.seconds
        cells = [row.case, *per_element, times(row.ratio), f"{rate / 1e9:.1f}"]
        if is_streaming:
            arrays = 3 if read > 1 else 2
            bandwidth = arrays * size * itemsize / row.times[STREAM].median
            cells.append(percent(rate / bandwidth))
        table.rows.append(cells)
    goal = f" Goal: {percent(STREAM_GOAL)} of the stream." if is_streaming else ""
    table.notes = [line + goal for line in lost(rows)]
    return table


def ceilings(found: Ceilings) -> Table:
    table = Table("Ceilings of one core, in the same run", ["what", "reached"])
    for dtype, rate in found.multiply_add.items():
        table.rows.append([f"multiply-adds, {dtype}", f"{rate / 1e9:.0f} Gflop/s"])
    for place, rates in (("in", found.in_cache), ("out of", found.out_of_cache)):
        for name, rate in rates.items():
            table.rows.append([f"{name}, {place} cache", f"{rate / 1e9:.1f} GB/s"])
    return table


def all_tables(results: Results) -> dict[str, list[Table]]:
    """By section, in the order of reading."""
    sections, peak = results.sections, results.ceilings
    tables = {"ceilings": [ceilings(peak)]} if peak else {}
    titles = {
        "steps": "A training step from Python, one core",
        "loops": "A training step inside the compiled loop, one core",
        "grid": "Two hidden layers, width × batch",
    }
    for name, title in titles.items():
        if sections.get(name):
            tables[name] = [steps(title, sections[name], peak)]
    for name, draw in (("threads", threads), ("published", published)):
        if sections.get(name):
            tables[name] = [draw(sections[name])]
    if sections.get("products"):
        tables["products"] = [products(sections["products"], peak)]
    by_group = defaultdict(list)
    for row in sections.get("elementwise", []):
        by_group[row.group].append(row)
    if by_group:
        tables["elementwise"] = [elementwise(g, rows) for g, rows in by_group.items()]
    return tables
