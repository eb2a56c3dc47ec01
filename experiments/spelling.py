"""How fields of settings dataclasses are written for a person at the command line."""

import re
from collections.abc import Mapping
from dataclasses import Field
from typing import Any, NamedTuple

ACCURACY, AGREEMENT = "accuracy", "agreement"
"""What counts of right answers are: right by the labels of the data, or by the unpruned network."""

# Not within a path, an option or a name such as accuracy_drop.
_WORD = re.compile(r"(?<![\w/.=-])([Aa])ccuracy(?![\w/=-])")
_FIELD = re.compile(r"`([a-z][a-z0-9_]*)`( false\b)?")


class Spelling(NamedTuple):
    """The option of a field; ``negative`` is its opposite, for a flag."""

    positive: str
    negative: str | None = None


def option_name(name: str) -> str:
    """``--population-cap`` for ``population_cap``."""
    return "--" + name.replace("_", "-")


def spelling_of(field: Field[Any], *, flag: bool = False) -> Spelling:
    """``--population-cap`` for ``population_cap``, unless the field's metadata has another ``spelling``."""
    name = field.metadata.get("spelling", field.name)
    return Spelling(option_name(name), option_name(f"no_{name}") if flag else None)


def spelled(sentence: str, spellings: Mapping[str, Spelling]) -> str:
    """The sentence with `` `parents` `` written as ``--parents``, and `` `climb` false`` as ``--no-climb``.

    A field of another command, which has no spelling here, is written by the general rule.
    """

    def option(found: re.Match[str]) -> str:
        name, false = found[1], found[2] or ""
        positive, negative = spellings.get(name) or Spelling(option_name(name))
        return negative if false and negative is not None else positive + false

    return _FIELD.sub(option, sentence)


def measured_as(text: str, measure: str) -> str:
    """The text with agreement in the place of accuracy, where that is what was measured."""
    return text if measure == ACCURACY else _WORD.sub(r"\1greement", text)
