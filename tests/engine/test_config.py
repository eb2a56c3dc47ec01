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
    ],
)
def test_impossible_settings_name_the_option(values, option):
    with pytest.raises(OptionError, match=option):
        SearchSettings(**values)


def test_settings_of_another_version_are_refused():
    with pytest.raises(OptionError, match="islands"):
        SearchSettings.from_json({**SearchSettings().to_json(), "islands": 3})
    older = SearchSettings().to_json()
    del older["race"], older["stop_early"]
    with pytest.raises(OptionError, match=r"\(race, stop_early\); use the version"):
        SearchSettings.from_json(older)


@pytest.mark.parametrize("values", [{"workers": 0}, {"cpus_per_worker": 0}, {"gpus_per_worker": -1.0}])
def test_impossible_pools_name_the_option(values):
    [name] = values
    with pytest.raises(OptionError, match="--" + name.replace("_", "-")):
        PoolOptions(**values)
