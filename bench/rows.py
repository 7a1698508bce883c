"""What was measured: one row for each case, with every contender's times."""

from dataclasses import dataclass, field

from bench.timing import Timing

OURS = "backproof"


@dataclass
class Row:
    """One case. Contenders whose names begin with `OURS` are ours, all others peers."""

    case: str
    times: dict[str, Timing]
    ours: str = OURS
    description: str = ""
    goal: float | None = None
    flop: int = 0
    bytes: int = 0
    notes: list[str] = field(default_factory=list)
    variants: dict[str, str] = field(default_factory=dict)
    group: str = ""

    @property
    def seconds(self) -> float | None:
        """Ours, if it could be measured."""
        return self.times[self.ours].median if self.ours in self.times else None

    @property
    def best(self) -> str | None:
        """The fastest peer."""
        peers = [name for name in self.times if not name.startswith(OURS)]
        return min(peers, key=lambda name: self.times[name].median, default=None)

    @property
    def ratio(self) -> float | None:
        """The best peer's time over ours: above one we are faster."""
        if self.best is None or self.seconds is None:
            return None
        return self.times[self.best].median / self.seconds

    @property
    def is_lost(self) -> bool:
        """Whether a peer is faster."""
        return self.ratio is not None and self.ratio < 1

    def share(self, ceiling: float) -> float | None:
        """Of the multiply-add ceiling in flop/s."""
        return self.flop / self.seconds / ceiling if self.seconds and self.flop else None

    @classmethod
    def of_json(cls, values: dict) -> "Row":
        times = {name: Timing(**timing) for name, timing in values["times"].items()}
        return cls(**(values | {"times": times}))
