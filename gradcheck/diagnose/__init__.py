"""Names the mistake: recognisers look at the evidence and rank causes.

A recogniser is a function (evidence, i) that yields causes for the wrong gradient of input i.
Each file holds those of one family and lists them in `RECOGNISERS`.
"""

from gradcheck.diagnose.diagnose import diagnose
from gradcheck.diagnose.evidence import Evidence

__all__ = ["Evidence", "diagnose"]
