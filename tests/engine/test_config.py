import pytest

from engine.config import SearchSettings
from engine.errors import OptionError
from engine.pool_options import PoolOptions


def test_defaults_are_the_papers():
    settings = SearchSettings()
    assert (settings.population, settings.parents, settings.mutation, settings.population_cap) == (
        50,
        10,
        0.0002,
        300,
    )
    assert SearchSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"population": 1}, "--population"),
        ({"parents": 1}, "--parents"),
        ({"parents": 51}, "--parents 51 is more than --population 50"),
        ({"parents": 20, "population_cap": 15}, "--population-cap 15"),
        ({"mutation": -0.1}, "--mutation"),
        ({"mutation": float("nan")}, "--mutation"),
        ({"initial_removal": 1.5}, "--initial-removal"),
        ({"pairing": "some"}, "--pairing"),
        ({"seed": -1}, "--seed"),
        ({"race": -0.1}, "--race"),
        ({"race": 1.0}, "--race"),
        ({"race": float("nan")}, "--race"),
        ({"race": 0.1, "stop_early": False}, "--no-stop-early"),
        ({"round_to": 0}, "--round-to must be 1 or more filters, not 0"),
        ({"islands": 0}, "--islands must be 1 or more, not 0"),
        ({"migrate_every": 0}, "--migrate-every must be 1 or more, not 0"),
        ({"migrants": 0}, "--migrants must be 1 or more, not 0"),
        ({"islands": 2, "migrants": 300}, "--migrants 300 .* --population-cap 300; lower --migrants"),
    ],
)
def test_impossible_settings_name_the_option(values, option):
    with pytest.raises(OptionError, match=option):
        SearchSettings(**values)


def test_settings_of_another_version_are_refused():
    with pytest.raises(OptionError, match="continents"):
        SearchSettings.from_json({**SearchSettings().to_json(), "continents": 3})
    older = SearchSettings().to_json()
    del older["race"], older["stop_early"]
    with pytest.raises(OptionError, match=r"\(race, stop_early\); use the version"):
        SearchSettings.from_json(older)


def test_settings_from_before_there_were_islands_are_those_of_one_island():
    older = SearchSettings(seed=4).to_json()
    for name in ("islands", "migrate_every", "migrants", "mutate", "crossover", "round_to"):
        del older[name]
    assert SearchSettings.from_json(older) == SearchSettings(seed=4)
    assert SearchSettings(seed=4).course() == older
    assert SearchSettings(seed=4, migrate_every=3, migrants=1).course() == older
    apart = SearchSettings(seed=4, islands=2)
    assert apart.course() == {**older, "islands": 2, "migrate_every": 10, "migrants": 2}
    assert apart.to_json() == {**apart.course(), "round_to": 1, "mutate": "bits", "crossover": "point"}
    assert SearchSettings.from_json(apart.to_json()) == apart


def test_one_island_takes_the_smallest_cap_as_before():
    SearchSettings(population=2, parents=2, population_cap=2)


@pytest.mark.parametrize("values", [{"workers": 0}, {"cpus_per_worker": 0}, {"gpus_per_worker": -1.0}])
def test_impossible_pools_name_the_option(values):
    [name] = values
    with pytest.raises(OptionError, match="--" + name.replace("_", "-")):
        PoolOptions(**values)


def test_rounding_is_part_of_the_course_only_where_it_changes_widths():
    assert "round_to" not in SearchSettings().course()
    assert SearchSettings(round_to=8).course()["round_to"] == 8
