"""The committed pages of the reproductions: each figure and table of a document has a counterpart, or a reason why not."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from experiments.studies import reproductions
from experiments.studies.reproductions import EXPERIMENTS
from experiments.studies.reproductions.common.page import CHECKLIST, checklist_table

PAGES = Path(__file__).parents[3] / "docs" / "reproductions"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_checklist_names_sections_of_the_page(name):
    checklist = import_module(f"{reproductions.__name__}.{EXPERIMENTS[name].module}_page").CHECKLIST
    body, heading, table = (PAGES / name / "page.md").read_text().partition(f"## {CHECKLIST}\n\n")
    assert heading
    assert table == checklist_table(checklist) + "\n"
    headings = [re.split(r"[:(]", line)[0].strip() for line in re.findall(r"^## (.+)$", body, re.MULTILINE)]
    for counterpart in checklist.values():
        assert counterpart.startswith("none: ") or any(heading in counterpart for heading in headings), (
            counterpart
        )
