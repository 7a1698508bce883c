"""All that a run has measured, kept in one JSON file from which every table can be drawn again."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.ceilings import Ceilings
from bench.rows import Row


@dataclass
class Results:
    """Rows by section, with the machine and the ceilings that they are to be read against."""

    machine: dict
    clock: str
    ceilings: Ceilings | None = None
    sections: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.sections.values() for row in rows]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        values = json.loads(path.read_text())
        if values["ceilings"]:
            values["ceilings"] = Ceilings(**values["ceilings"])
        values["sections"] = {
            name: [Row.of_json(row) for row in rows] for name, rows in values["sections"].items()
        }
        return cls(**values)
