"""Settings of a search: all that a user may choose about Algorithm 2 of the thesis and its extensions."""

from dataclasses import dataclass

from engine.errors import OptionError
from engine.options import check_choices, option
from engine.search.operators.crossover import CROSSOVERS
from engine.search.operators.mutation import BITS, MUTATIONS, named_mutations
from engine.search.operators.population import PAIRINGS


@dataclass(frozen=True)
class SearchSettings:
    """Options of Algorithm 2; the defaults are those of Table 3.1 of the thesis.

    The sizes ``population``, ``parents`` and ``population_cap`` hold for each island
    (:mod:`engine.search.islands`). Early stopping leaves a search as it is while its objective stays
    (:mod:`engine.search.stopping`).
    With a mutation other than ``bits``, offspring that cannot matter are drawn again
    (:mod:`engine.search.operators.mutation`).

    Raises:
        OptionError: a value is out of its range.
    """

    population: int = option(50, "Individuals of the initial population (I in the thesis).")
    parents: int = option(10, "Individuals selected to cross in each generation (K in the thesis).")
    mutation: float = option(0.0002, "Probability that a bit of an offspring flips (P in the thesis).")
    population_cap: int = option(300, "Individuals that survive a generation (T in the thesis).")
    pairing: str = option(
        "adjacent",
        "Which parents cross: adjacent (the first with the second and so on) or all (each with each).",
        choices=PAIRINGS,
    )
    initial_removal: float = option(
        0.02, "Largest share of filters that an initial individual loses, on average."
    )
    seed: int = option(0, "Seed of all random numbers of the search.")
    stop_early: bool = option(
        True,
        "Stop evaluating a mask once it can no longer survive or become BEST.",
    )
    race: float = option(
        0.0,
        "Also stop masks on a statistical bound; DELTA bounds the probability that this changes the search.",
        metavar="DELTA",
    )
    islands: int = option(1, "Populations that evolve apart, each of these sizes.")
    migrate_every: int = option(10, "Generations between two migrations.")
    migrants: int = option(2, "Most masks that an island sends to the next island.")
    mutate: str = option(
        BITS,
        f"Mutations, joined by a comma: {'; '.join(f'{name} {each.help}' for name, each in MUTATIONS.items())}.",
        metavar="MUTATIONS",
    )
    crossover: str = option(
        "point",
        "How two parents recombine: point, as in the thesis, or whole layers from either parent.",
        choices=CROSSOVERS,
    )
    round_to: int = option(
        1, "Let each layer keep a multiple of this many filters, or all its filters; 8 suits most hardware."
    )

    def __post_init__(self) -> None:
        check_choices(self)
        self._check_population()
        self._check_variation()
        self._check_stopping()
        self._check_islands()

    def _check_population(self) -> None:
        for name in ("population", "parents"):
            if getattr(self, name) < 2:
                raise OptionError(f"`{name}` must be 2 or more, not {getattr(self, name)}.")
        smaller = min(self.population, self.population_cap)
        if self.parents > smaller:
            limit = "`population`" if smaller == self.population else "`population_cap`"
            raise OptionError(
                f"`parents` {self.parents} is more than {limit} {smaller}; lower `parents` or raise {limit}."
            )
        if self.seed < 0:
            raise OptionError(f"`seed` must be 0 or more, not {self.seed}.")

    def _check_variation(self) -> None:
        for name in ("mutation", "initial_removal"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"`{name}` is a probability from 0 to 1, not {getattr(self, name)}.")
        named_mutations(self.mutate)
        if self.round_to < 1:
            raise OptionError(f"`round_to` must be 1 or more filters, not {self.round_to}; 1 allows every width.")

    def _check_stopping(self) -> None:
        if not 0 <= self.race < 1:
            raise OptionError(
                f"`race` is the probability of error that you allow, from 0 (none) to below 1, not {self.race}."
            )
        if self.race > 0 and not self.stop_early:
            raise OptionError(
                f"`race` {self.race} stops evaluations early; leave out either it or `stop_early` false."
            )

    def _check_islands(self) -> None:
        if self.islands < 1:
            raise OptionError(f"`islands` must be 1 or more, not {self.islands}; 1 is a single population.")
        for name in ("migrate_every", "migrants"):
            if getattr(self, name) < 1:
                raise OptionError(
                    f"`{name}` must be 1 or more, not {getattr(self, name)}; for islands that never meet, give "
                    "`migrate_every` more generations than the search has."
                )
        if self.islands > 1 and self.migrants >= self.population_cap:
            raise OptionError(
                f"`migrants` {self.migrants} could replace a whole island of `population_cap` "
                f"{self.population_cap}; lower `migrants` or raise `population_cap`."
            )

    @property
    def guided(self) -> bool:
        """Whether a mutation needs a guide."""
        return any(MUTATIONS[name].guided for name in self.mutations)

    @property
    def mutations(self) -> tuple[str, ...]:
        """The names in ``mutate``."""
        return named_mutations(self.mutate)
