"""What ``export --pick`` understands, and that it finds what a loop over the front finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OptionError
from experiments.runs.exporting.pick import NAMES, Condition, parse_pick, pick

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
CONDITIONS = st.builds(Condition, st.sampled_from(NAMES), st.sampled_from(["<", "<=", ">", ">="]), NUMBERS)
BLANKS = st.sampled_from(["", " ", "  "])


@given(st.lists(st.tuples(CONDITIONS, BLANKS, BLANKS), min_size=1, max_size=4))
def test_what_is_written_is_read(parts):
    text = ",".join(f"{gap}{c.name}{gap}{c.comparison}{blank}{c.number!r}{blank}" for c, gap, blank in parts)
    assert parse_pick(text) == tuple(condition for condition, _, _ in parts)


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "accuracy_drop", "accuracy_drop<", "<1", "accuracy_drop=1", "accuracy_drop==1", "accuracy<1"),
        *("accuracy_drop<1,", "accuracy_drop<1;macs<5", "accuracy_drop<1%", "accuracy_drop<nan", "macs<1e999"),
        *("macs<0x10", "macs<1_000", "1>accuracy_drop", "accuracy_drop<1 and macs<5", "__import__('os')<1"),
        *("accuracy_drop<1<2", "latency_drop>1", "macs<٣"),
    ],
)
def test_anything_else_is_refused_and_told_how_to_write_it(text):
    with pytest.raises(OptionError, match="is no condition; write accuracy_drop<1") as refused:
        parse_pick(text)
    assert repr(text) in str(refused.value)


@given(st.text(alphabet="acdmopr_<>=,.0123456789e+- ", max_size=30))
def test_no_text_is_read_by_halves(text):
    try:
        conditions = parse_pick(text)
    except OptionError:
        return
    assert len(conditions) == text.count(",") + 1
    assert text.count("<") + text.count(">") == len(conditions)


FIGURES = st.lists(
    st.tuples(*[st.integers(-2, 5).map(float)] * 3, st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=25
)
SMALL = st.builds(
    Condition, st.sampled_from(NAMES), st.sampled_from(["<", "<=", ">", ">="]), st.integers(-2, 9).map(float)
)


@given(FIGURES, st.lists(SMALL, min_size=1, max_size=3), st.sampled_from(["parameter_drop", "mac_drop"]))
def test_the_pick_is_what_a_loop_finds(points, conditions, goal):
    names = ("accuracy_drop", "parameter_drop", "mac_drop", "parameters", "macs")
    other = {"parameter_drop": "mac_drop", "mac_drop": "parameter_drop"}[goal]
    bounded = any(c.name == "accuracy_drop" and c.comparison.startswith("<") for c in conditions)
    meets = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    found = None
    for place, point in enumerate(points):
        entry = dict(zip(names, point, strict=True))
        if not all(meets[c.comparison](entry[c.name], c.number) for c in conditions):
            continue
        key = [entry["accuracy_drop"], -entry[goal], -entry[other]]
        if bounded:
            key[:2] = key[1], key[0]
        if found is None or key < found[0]:
            found = key, place
    figures = {name: np.array(column) for name, column in zip(names, zip(*points, strict=True), strict=True)}
    assert pick(figures, tuple(conditions), goal) == (None if found is None else found[1])
