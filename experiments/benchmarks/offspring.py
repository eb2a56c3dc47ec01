"""Generations for benchmarks: parents and offspring of a real search, or synthetic ones for other networks.

Command: ``python -m experiments.benchmarks.offspring make --early RUN_DIR --late RUN_DIR`` writes
``generations.npz`` from the newest checkpoint of two runs; a few seconds. Expect a line for each generation.

A generation has the 10 best individuals of a population and their offspring by the thesis's operators: 20 of
adjacent pairs, or 180 of all pairs. A search does not evaluate masks that its archive knows, so :func:`distinct`
removes copies of parents and of other offspring before anything is timed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np

from engine.errors import EvopruneError, RunError
from engine.layout import Layout
from engine.run.directory import RunDirectory
from engine.search.operators.population import fittest, revive_empty_layers
from engine.search.settings import SearchSettings
from engine.search.toolbox import make_toolbox

FILE = Path(__file__).with_name("generations.npz")
PARENTS = 10
PAIRINGS = {20: "adjacent", 180: "all"}
"""Offspring of 10 parents -> how they pair."""

MOST_BROODS = 1000
"""Attempts at a number of different offspring; a brood has some 50 to 180."""

SYNTHETIC_REMOVAL = {"early": 0.01, "late": 0.22}
"""Share of filters that a synthetic parent loses; 0.22 of the filters are some 40% of a VGG's parameters."""


@dataclass(frozen=True)
class Generation:
    """``parents``: ``bool[10, f]``. ``stored``: number of offspring -> ``bool[number, f]``."""

    parents: np.ndarray
    stored: dict[int, np.ndarray]
    source: str


def load(name: str, count: int) -> np.ndarray:
    """Offspring ``bool[count, f]`` of a real search, clones included.

    Raises:
        FileNotFoundError, KeyError: there is no such generation.
    """
    with np.load(FILE, allow_pickle=False) as file:
        filters = sum(json.loads(str(file["provenance"]))[name]["layout"]["sizes"])
        return np.unpackbits(file[f"{name}_{count}"], axis=-1, count=filters).astype(bool)


def generation(name: str, layout: Layout) -> Generation:
    """The real generation if there is one for this layout, else a synthetic one; ``source`` says which."""
    if FILE.exists():
        with np.load(FILE, allow_pickle=False) as file:
            provenance = json.loads(str(file["provenance"])).get(name)
            if provenance and _layout(provenance["layout"]) == layout:
                parents = layout.unpack(file[f"{name}_parents"])
                source = f"generation {provenance['generation']} of a real search"
                return Generation(parents, {count: load(name, count) for count in PAIRINGS}, source)
    removal = SYNTHETIC_REMOVAL[name]
    parents = synthetic_parents(layout, removal)
    stored = {count: breed(layout, parents, count) for count in PAIRINGS}
    return Generation(parents, stored, f"synthetic: parents without {removal:.0%} of their filters, at random")


def synthetic_parents(layout: Layout, removal: float) -> np.ndarray:
    """``bool[10, f]``, each without a random share of its filters.

    Drawn independently of each other: less alike than the relatives that a real search crosses, so a program
    that gains from likeness gains less here.
    """
    rng = np.random.Generator(np.random.PCG64(0))
    return revive_empty_layers(rng, layout, rng.random((PARENTS, layout.n_filters)) >= removal)


def breed(layout: Layout, parents: np.ndarray, count: int) -> np.ndarray:
    """The 20 or 180 offspring ``bool[count, f]`` that the thesis's operators make of ``bool[10, f]``."""
    return next(_broods(layout, PAIRINGS[count], parents))


def many(layout: Layout, parents: np.ndarray, count: int) -> np.ndarray:
    """``count`` distinct offspring ``bool[count, f]``: all pairs, crossed and mutated until there are enough.

    Raises:
        click.ClickException: the parents are too alike to have so many.
    """
    found = np.zeros((0, layout.n_filters), bool)
    for brood in islice(_broods(layout, "all", parents), MOST_BROODS):
        found = distinct(np.concatenate([found, brood]), parents)
        if len(found) >= count:
            return found[:count]
    raise click.ClickException(f"these parents have only {len(found)} different offspring; ask for fewer.")


def distinct(masks: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """The rows of ``bool[n, f]`` that the search would evaluate: neither a parent nor seen before."""
    known = {row.tobytes() for row in np.packbits(parents, axis=-1)}
    fresh = []
    for index, row in enumerate(np.packbits(masks, axis=-1)):
        if (key := row.tobytes()) not in known:
            known.add(key)
            fresh.append(index)
    return masks[fresh]


def _broods(layout: Layout, pairing: str, parents: np.ndarray) -> Iterator[np.ndarray]:
    """The offspring of these parents by the thesis's operators, again and again with new cuts and flips."""
    toolbox = make_toolbox(SearchSettings(pairing=pairing), layout)
    rng = np.random.Generator(np.random.PCG64(0))
    while True:
        children = toolbox.mate(rng, parents, toolbox.pair(len(parents)))
        yield toolbox.repair(rng, masks=toolbox.mutate(rng, children))


def _layout(entry: dict[str, Any]) -> Layout:
    return Layout(tuple(entry["names"]), tuple(entry["sizes"]))


def _from_run(name: str, path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Packed arrays and provenance of the newest checkpoint of a run."""
    run = RunDirectory.open(path)
    description = run.description()
    checkpoint = run.latest(lambda message: click.echo(message, err=True))
    if checkpoint is None:
        raise RunError(f"{path} has no checkpoint; give a run that has one generation behind it at least.")
    state, layout = checkpoint.state, checkpoint.layout
    if len(state.population) < PARENTS:
        raise RunError(f"{path} has a population of {len(state.population)}; {PARENTS} parents are needed.")
    selected = fittest(np.random.default_rng(0), state.population, PARENTS)
    parents = np.stack([parent.mask for parent in selected])
    arrays = {f"{name}_parents": layout.pack(parents)}
    for count in PAIRINGS:
        offspring = breed(layout, parents, count)
        arrays[f"{name}_{count}"] = layout.pack(offspring)
        fresh = len(distinct(offspring, parents))
        click.echo(f"{name}: generation {state.generation}, {count} offspring, {fresh} of them new")
    provenance = {
        "generation": state.generation,
        "best": state.best.to_json(),
        "layout": {"names": layout.names, "sizes": layout.sizes},
        "model_digest": description.get("model_digest"),
        "versions": description.get("versions"),
    }
    return arrays, provenance


@click.group()
def main() -> None:
    """Generations for the benchmarks."""


@main.command()
@click.option("--early", type=click.Path(path_type=Path), required=True, help="Run of a few generations.")
@click.option("--late", type=click.Path(path_type=Path), required=True, help="Run that is far advanced.")
@click.option("--output", type=click.Path(path_type=Path), default=FILE, help="File to write.")
def make(early: Path, late: Path, output: Path) -> None:
    """Write the packed masks and where they came from."""
    arrays: dict[str, np.ndarray] = {}
    provenance = {}
    for name, path in (("early", early), ("late", late)):
        try:
            found, provenance[name] = _from_run(name, path)
        except EvopruneError as error:
            raise click.ClickException(str(error)) from error
        arrays.update(found)
    np.savez_compressed(output, provenance=np.array(json.dumps(provenance)), **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
