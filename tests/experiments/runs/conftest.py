"""Reports of runs are not drawn here: the tests of the reports look at figures."""

import pytest


@pytest.fixture(autouse=True)
def nothing_is_drawn(undrawn):
    """See ``undrawn``."""
