"""Settings of a search: everything a user may choose that decides which masks it visits."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from engine.errors import OptionError
from engine.operators import PAIRINGS
from engine.variation.registry import BITS, CROSSOVERS, is_guided, named_mutations

_OF_ISLANDS = {"islands", "migrate_every", "migrants"}
"""Settings that a run of one population may lack: it was begun before there were islands."""

_LATER = {"mutate": BITS, "crossover": "point", "round_to": 1}
"""Settings that a run may lack, with the values it then has: it was begun before there was a choice."""


@dataclass(frozen=True)
class SearchSettings:
    """Options of Algorithm 2 in seed 003; the defaults are its Table 3.1.

    With several islands (:mod:`engine.islands`), each has a population, parents and a cap of these sizes.

    Attributes:
        population: individuals of the initial population (the paper's I).
        parents: individuals selected to cross in each generation (K).
        mutation: probability that a bit of an offspring flips (P).
        population_cap: individuals that survive a generation (T).
        pairing: ``adjacent`` crosses parents 1 and 2, 3 and 4, ...; ``all`` each with each.
        initial_removal: largest share of filters that an initial individual loses, on average.
        seed: of the search's random generators, one for each island.
        stop_early: whether a mask that can enter neither the population nor BEST is evaluated no further.
            The search is the same either way.
        race: probability, over the whole search, that a mask is stopped on a statistical bound though it
            would have mattered; 0 stops only what is certain.
        islands: populations that evolve apart.
        migrate_every: generations from one migration to the next.
        migrants: masks of each island that the next one is sent, at most.
        mutate: mutations (:mod:`engine.variation`), joined by commas; ``bits`` is the paper's. With any other,
            offspring that cannot matter are drawn anew (:mod:`engine.screening`).
        crossover: ``point`` is the paper's; see :data:`engine.variation.registry.CROSSOVERS`.
        round_to: every layer keeps a multiple of so many filters, or all (:mod:`engine.rounding`).

    Raises:
        OptionError: a value out of its range.
    """

    population: int = 50
    parents: int = 10
    mutation: float = 0.0002
    population_cap: int = 300
    pairing: str = "adjacent"
    initial_removal: float = 0.02
    seed: int = 0
    stop_early: bool = True
    race: float = 0.0
    islands: int = 1
    migrate_every: int = 10
    migrants: int = 2
    mutate: str = BITS
    crossover: str = "point"
    round_to: int = 1

    def __post_init__(self) -> None:
        if self.population < 2:
            raise OptionError(f"--population must be 2 or more, not {self.population}.")
        if self.parents < 2:
            raise OptionError(f"--parents must be 2 or more, not {self.parents}.")
        smaller = min(self.population, self.population_cap)
        if self.parents > smaller:
            option = "--population" if smaller == self.population else "--population-cap"
            raise OptionError(
                f"--parents {self.parents} is more than {option} {smaller}; lower --parents or raise {option}."
            )
        for option, value in (("--mutation", self.mutation), ("--initial-removal", self.initial_removal)):
            if not 0 <= value <= 1:
                raise OptionError(f"{option} is a probability from 0 to 1, not {value}.")
        if self.pairing not in PAIRINGS:
            raise OptionError(f"--pairing must be one of {', '.join(PAIRINGS)}, not {self.pairing!r}.")
        named_mutations(self.mutate)
        if self.crossover not in CROSSOVERS:
            raise OptionError(f"--crossover must be one of {', '.join(CROSSOVERS)}, not {self.crossover!r}.")
        if self.seed < 0:
            raise OptionError(f"--seed must be 0 or more, not {self.seed}.")
        if not 0 <= self.race < 1:
            raise OptionError(
                f"--race is the probability of error that you allow, from 0 (none) to below 1, not {self.race}."
            )
        if self.race > 0 and not self.stop_early:
            raise OptionError(
                f"--race {self.race} stops evaluations early; leave out either it or --no-stop-early."
            )
        if self.round_to < 1:
            raise OptionError(f"--round-to must be 1 or more filters, not {self.round_to}; 1 allows every width.")
        self._check_islands()

    def _check_islands(self) -> None:
        if self.islands < 1:
            raise OptionError(f"--islands must be 1 or more, not {self.islands}; 1 is a single population.")
        for option, number in (("--migrate-every", self.migrate_every), ("--migrants", self.migrants)):
            if number < 1:
                raise OptionError(
                    f"{option} must be 1 or more, not {number}; for islands that never meet, give "
                    "--migrate-every more generations than the search has."
                )
        if self.islands > 1 and self.migrants >= self.population_cap:
            raise OptionError(
                f"--migrants {self.migrants} could replace a whole island of --population-cap "
                f"{self.population_cap}; lower --migrants or raise --population-cap."
            )

    @property
    def guided(self) -> bool:
        """Whether a mutation needs a guide."""
        return is_guided(self.mutate)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds equal settings."""
        return asdict(self)

    def course(self) -> dict[str, Any]:
        """What decides a search's course, as JSON, for the identity of a run.

        One island never migrates; leaving its settings of islands out keeps the identity of runs that were begun
        before there were islands. So does leaving out the paper's mutation and crossover, and rounding to 1.
        """
        entry = self.to_json()
        idle = {name for name, value in _LATER.items() if entry[name] == value}
        if self.islands == 1:
            idle |= _OF_ISLANDS
        return {name: value for name, value in entry.items() if name not in idle}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "SearchSettings":
        """Inverse of :meth:`to_json`, also for runs begun before there were islands, mutations or rounding.

        Raises:
            OptionError: a key is unknown or missing.
        """
        names = {field.name for field in fields(cls)}
        if not names - _OF_ISLANDS - set(_LATER) <= set(entry) <= names:
            odd = sorted(set(entry) ^ names)
            raise OptionError(
                f"the search settings do not fit this version ({', '.join(odd)}); use the version of evoprune "
                "that wrote them."
            )
        return cls(**entry)
