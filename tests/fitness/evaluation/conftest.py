"""Fixtures that change how programs are compiled. Programs are shared by the process, so they are dropped around."""

import jax
import pytest

from fitness.evaluation import programs
from models.lowering import choice


@pytest.fixture
def lowered_as_wide(monkeypatch):
    """Narrow layers take the lowering of wide ones."""
    programs.drop()
    monkeypatch.setattr(choice, "MANY_CHANNELS", 1)
    yield
    programs.drop()


@pytest.fixture
def quick_compilation():
    """Programs are compiled fast, and run slowly."""
    programs.drop()
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    programs.drop()
