"""Repair: which small edit of a backward, as its author wrote it, makes the gradient right.

What an edit changes is the mistake, its line the place, and what stands there afterwards the fix.
No list of operations is needed for that, only the source.
"""

from gradcheck.repair.ranked import led_by_relation, with_repairs
from gradcheck.repair.search import Repair, Suspect, repair, repaired

__all__ = ["Repair", "Suspect", "led_by_relation", "repair", "repaired", "with_repairs"]
