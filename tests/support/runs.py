"""Small searches on the tiny network, and the files by which two runs are compared."""

from dataclasses import asdict

from engine.run.checkpoint import list_checkpoints
from engine.search.settings import SearchSettings
from engine.stores.locations import open_store
from experiments.data.facts import DataFacts
from experiments.data.options import DataOptions
from experiments.progress import Silent
from experiments.runs.options import SearchOptions

SETTINGS = SearchSettings(population=8, parents=4, mutation=0.05, population_cap=12, initial_removal=0.1, seed=5)
GENERATIONS = 8

SPEED = {
    "device": "cpu",
    "batch": 32,
    "passes": 5,
    "base_milliseconds": 2.0,
    "pruned_milliseconds": 1.5,
    "base_images_per_second": 16_000.0,
    "pruned_images_per_second": 21_333.0,
    "time_drop": 25.0,
}
"""What reports say of the networks' speed where nothing is timed."""

OPTIONS_OF_THE_COMMAND_LINE = (
    *("--preset", "paper", "--threshold", "20", "--population", "8", "--parents", "4", "--mutation", "0.05"),
    *("--population-cap", "12", "--initial-removal", "0.1", "--seed", "5"),
)
"""How ``evoprune search`` is asked for what ``options_for`` asks for."""


def options_for(directory, data, **changes) -> SearchOptions:
    """A search of 8 generations on the 40 training images of ``data``, by the thesis's algorithm."""
    chosen = {"generations": GENERATIONS, "threshold": 20.0, "settings": SETTINGS, **changes}
    return SearchOptions(str(directory), DataOptions(f"npz:{data}"), **chosen)


def progress_of(result) -> dict:
    """The entries of a search's result that its status has too: all but those on the data."""
    entry = result.to_json()
    for name in ("held_out", *asdict(DataFacts())):
        del entry[name]
    return entry


def traces(location) -> tuple[bytes, dict[str, bytes]]:
    """The journal and every checkpoint of a run: the bytes that no backend, store or interruption may change."""
    store = open_store(location)
    checkpoints = {name: store.read(name) for name in list_checkpoints(store)}
    assert checkpoints
    return store.read_log("journal.jsonl"), checkpoints


class Listening(Silent):
    """Keeps the sentences, and calls a function with the number of each generation."""

    def __init__(self, on_generation=lambda number: None):
        self.sentences = []
        self._on_generation = on_generation

    def message(self, text):
        self.sentences.append(text)

    def generation(self, state, total):
        self._on_generation(state.generation)
