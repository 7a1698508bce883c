"""The catalogue: planted bugs and correct functions, on which the checker is measured.

`python -m gradcheck catalogue` runs it. Each family of functions has a file, in which the
formula and its gradient stand once and each mistake is one more line.
"""

from gradcheck.catalogue.case import Bug, Case, Right
from gradcheck.catalogue.table import bugs, rights

__all__ = ["Bug", "Case", "Right", "bugs", "rights"]
