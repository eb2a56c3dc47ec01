"""What all tests of the commands share."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def short_measurements():
    """Reports measure speed for as short as can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.pages.speed.SECONDS", 0.0)
        yield
