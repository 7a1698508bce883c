"""python docs/causes.py: puts the table of causes at the end of docs/gradcheck.md."""

from pathlib import Path

from gradcheck.diagnose.causes import CAUSES

PAGE = Path(__file__).with_name("gradcheck.md")

HEAD = "| slug | what it says |"


def table() -> str:
    """One row for each slug; what stands in braces is filled in with what was found."""
    rows = [HEAD, "|---|---|"]
    for slug, row in CAUSES.items():
        convention = " *(a convention, no mistake)*" if row.is_convention else ""
        sentence = " ".join(row.sentence.split()).replace("|", "\\|").replace("_", "\\_")
        rows.append(f"| `{slug}` | {sentence}{convention} |")
    return "\n".join(rows)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8").partition(HEAD)[0]
    PAGE.write_text(f"{text}{table()}\n", encoding="utf-8")
