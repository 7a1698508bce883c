"""The README's section on speed: the text between its two markers."""

from pathlib import Path

from bench.machine import sentence
from bench.results import Results
from bench.tables import all_tables

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

README = Path(__file__).parents[1] / "README.md"

FOLDED = {
    "ceilings": "Ceilings",
    "grid": "Sixty networks, width × batch",
    "products": "Matrix products",
    "elementwise": "Elementwise kernels",
}
"""Sections for those who want to know more."""


def block(results: Results, chart: str | None) -> str:
    parts = [f"Measured on {sentence(results.machine)} Median times; above 1× we are faster."]
    if results.clock != "wall":
        parts.append("The machine was shared: processor time, not wall time.")
    for section, tables in all_tables(results).items():
        texts = [f"**{table.title}**\n\n{table.markdown()}" for table in tables]
        if section in FOLDED:
            inside = "\n\n".join(texts)
            texts = [f"<details><summary>{FOLDED[section]}</summary>\n\n{inside}\n\n</details>"]
        parts += texts
    if chart:
        parts.append(f"![Best peer's time over ours, width by batch]({chart})")
    return "\n\n".join(parts)


def replace_block(text: str, new: str) -> str:
    """`text` with `new` between the markers.

    Raises
    ------
    ValueError, unless each marker is there once and they are in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"README: expected {BEGIN} and then {END}, each once")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def write(results: Results, chart: str | None) -> None:
    README.write_text(replace_block(README.read_text(), block(results, chart)))
