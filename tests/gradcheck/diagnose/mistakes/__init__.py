"""Planted mistakes: forward, a backward that is wrong, shapes, and what it should be called."""

from tests.gradcheck.diagnose.mistakes.arithmetic import arithmetic
from tests.gradcheck.diagnose.mistakes.arranged import arranged, transposed
from tests.gradcheck.diagnose.mistakes.further import further
from tests.gradcheck.diagnose.mistakes.maps import affine_maps
from tests.gradcheck.diagnose.mistakes.pointwise import activations, functions
from tests.gradcheck.diagnose.mistakes.regions import regions_of_entries, regions_of_values
from tests.gradcheck.diagnose.mistakes.scaled import scales
from tests.gradcheck.diagnose.mistakes.sums import sums_of_gradients, sums_of_values

FAMILIES = (
    scales, transposed, arranged, activations, functions, affine_maps, sums_of_gradients,
    sums_of_values, further, regions_of_values, regions_of_entries, arithmetic,
)  # fmt: skip
MISTAKES = [mistake for family in FAMILIES for mistake in family()]
