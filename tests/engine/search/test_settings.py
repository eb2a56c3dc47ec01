import dataclasses

import pytest

from engine.cluster.options import PoolOptions
from engine.errors import OptionError
from engine.options import read_options
from engine.search.settings import SearchSettings


def test_the_defaults_are_those_of_the_thesis():
    settings = SearchSettings()
    assert (settings.population, settings.parents, settings.mutation, settings.population_cap) == (
        50,
        10,
        0.0002,
        300,
    )
    assert read_options(SearchSettings, dataclasses.asdict(settings)) == settings


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"population": 1}, "`population`"),
        ({"parents": 1}, "`parents`"),
        ({"parents": 51}, "`parents` 51 is more than `population` 50"),
        ({"parents": 20, "population_cap": 15}, "`population_cap` 15"),
        ({"mutation": -0.1}, "`mutation`"),
        ({"mutation": float("nan")}, "`mutation`"),
        ({"initial_removal": 1.5}, "`initial_removal`"),
        ({"pairing": "some"}, "`pairing`"),
        ({"seed": -1}, "`seed`"),
        ({"race": -0.1}, "`race`"),
        ({"race": 1.0}, "`race`"),
        ({"race": float("nan")}, "`race`"),
        ({"race": 0.1, "stop_early": False}, "`stop_early`"),
        ({"round_to": 0}, "`round_to` must be 1 or more filters, not 0"),
        ({"islands": 0}, "`islands` must be 1 or more, not 0"),
        ({"migrate_every": 0}, "`migrate_every` must be 1 or more, not 0"),
        ({"migrants": 0}, "`migrants` must be 1 or more, not 0"),
        ({"islands": 2, "migrants": 300}, "`migrants` 300 .* `population_cap` 300; lower `migrants`"),
    ],
)
def test_impossible_settings_name_the_option(values, option):
    with pytest.raises(OptionError, match=option):
        SearchSettings(**values)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda entry: {**entry, "continents": 3}, "continents"),
        (lambda entry: {name: value for name, value in entry.items() if name != "race"}, r"\(race\)"),
        (lambda entry: {**entry, "parents": "10"}, r"Expected `int`, got `str` - at `\$.parents`"),
        (lambda entry: {**entry, "parents": 1}, "`parents` must be 2 or more"),
        (lambda entry: [entry], "Expected `object`"),
    ],
)
def test_recorded_settings_that_do_not_fit_are_refused(change, named):
    with pytest.raises(OptionError, match=named):
        read_options(SearchSettings, change(dataclasses.asdict(SearchSettings())))


@pytest.mark.parametrize("kind", [SearchSettings, PoolOptions])
def test_every_option_has_a_help_sentence_and_a_default_among_its_choices(kind):
    for field in dataclasses.fields(kind):
        assert field.metadata["help"].endswith(".")
        assert not field.metadata["choices"] or field.default in field.metadata["choices"]


def test_one_island_takes_the_smallest_cap():
    SearchSettings(population=2, parents=2, population_cap=2)
