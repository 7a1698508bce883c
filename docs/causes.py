"""python docs/causes.py: prints the table of causes of docs/gradcheck.md."""

from gradcheck.diagnose.causes import CAUSES


def table() -> str:
    """One row for each slug; what stands in braces is filled in with what was found."""
    rows = ["| slug | what it says |", "|---|---|"]
    for slug, row in CAUSES.items():
        convention = " *(a convention, no mistake)*" if row.is_convention else ""
        sentence = " ".join(row.sentence.split()).replace("|", "\\|").replace("_", "\\_")
        rows.append(f"| `{slug}` | {sentence}{convention} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
