"""What became of each deliberate fault, counted by kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

OUTCOMES = ("survived", "refused", "wrong")


@dataclass
class Tally:
    """Counts by kind of fault.

    Survived: the results are those of an undisturbed run, maybe after the documented command went on. Refused: the job or
    the workflow stopped and named what is at fault. Wrong: everything else.
    """

    counts: dict[str, Counter] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, kind: str, outcome: str, what: str = "") -> None:
        """Count one try; what went wrong is kept in words."""
        assert outcome in OUTCOMES, outcome
        self.counts.setdefault(kind, Counter())[outcome] += 1
        if outcome == "wrong":
            self.faults.append(f"{kind}: {what}")

    def wrong(self, kind: str) -> list[str]:
        """What went wrong in the kinds whose name begins so."""
        return [fault for fault in self.faults if fault.startswith(kind)]

    def table(self) -> str:
        """One line for each kind, and one of sums."""
        total = sum(self.counts.values(), Counter())
        rows = [*sorted(self.counts.items()), ("all", total)]
        width = max(len(kind) for kind, _ in rows)
        lines = [f"{'fault':{width}}  tried  survived  refused  wrong"]
        for kind, counts in rows:
            cells = [counts.total(), *(counts[outcome] for outcome in OUTCOMES)]
            lines.append(f"{kind:{width}}  {cells[0]:5}  {cells[1]:8}  {cells[2]:7}  {cells[3]:5}")
        return "\n".join(lines)
