"""What the tests of diagnoses share."""

import pytest

from tests.gradcheck.diagnose.drawing import RNG, START


@pytest.fixture(autouse=True)
def same_numbers_for_each_test():
    RNG.bit_generator.state = START
