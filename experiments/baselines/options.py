"""Options of a comparison of pruning methods."""

from dataclasses import dataclass
from itertools import pairwise

from engine.errors import OptionError
from engine.options import named_once, option, same_option
from experiments.baselines.methods import METHODS, SEARCHES, USUAL
from experiments.data.options import DataOptions
from experiments.runs.options import SearchOptions, check_compensation
from fitness.genome import GENOMES
from fitness.objective.cost import check_threshold
from fitness.objective.rewards import OBJECTIVES, check_objective
from fitness.seeding.ranking import SCOPES, check_scope


@dataclass(frozen=True)
class BaselineOptions:
    """Options of ``evoprune baseline``.

    ``data`` are the images that masks are evaluated on.

    Raises:
        OptionError: a value out of its range.
    """

    data: DataOptions
    methods: str | None = option(
        None,
        "Names of importances, random-search and hill-climbing, as taylor,magnitude. If not given, those of "
        f"{', '.join(USUAL)} that the model and `budget` allow.",
        metavar="METHODS",
    )
    threshold: float = option(
        2.0, "The masks of the table lose less accuracy than this, in percent of the original accuracy."
    )
    ratios: tuple[float, ...] | None = option(
        None,
        "Percentages of the filters of every layer, as 10,20,30,40,50, that each ranking removes, whatever "
        "`threshold` allows. The table has the accuracies.",
        metavar="NUMBERS",
    )
    refit_images: int | None = option(
        None,
        "Refit the weights of each mask of `ratios` to so many images of the train split, without a gradient. No "
        "refit if not given.",
    )
    prune: str | None = option(
        None,
        "Filters that masks may remove. Those of `run`, or else convolutions, if not given.",
        choices=GENOMES,
    )
    scope: str = option(
        "global",
        "Remove filters in order of importance among all filters, or in equal shares of each layer.",
        choices=SCOPES,
    )
    floor: float = option(0.0, "Share of each layer's filters that stays.")
    importance_images: int | None = option(
        None,
        "Images of the train split that importances are computed on. 1,000, or all if there are fewer, if not "
        "given.",
    )
    budget: int | None = option(
        None, "Masks that random-search and hill-climbing each try. As many as `run` has if not given."
    )
    precision: str = same_option(SearchOptions, "precision")
    compensate: str = same_option(SearchOptions, "compensate")
    compensation_images: int = same_option(SearchOptions, "compensation_images")
    calibration_images: int = same_option(SearchOptions, "calibration_images")
    objective: str = option("parameters", "What searches drop and methods are ranked by.", choices=OBJECTIVES)
    latency_batch: int = same_option(SearchOptions, "latency_batch")
    force: bool = same_option(SearchOptions, "force")

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        check_scope(self.scope, self.floor)
        check_objective(self.objective)
        if self.ratios is not None:
            _check_ratios(self.ratios)
        check_compensation(self.compensate, self.compensation_images, self.calibration_images)
        for name in ("budget", "importance_images", "latency_batch", "refit_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"`{name}` must be 1 or more, not {value}.")
        if self.refit_images is not None and self.ratios is None:
            raise OptionError("`refit_images` is for the masks of `ratios`; give both, or leave it out.")

    def chosen(self, budget: int | None) -> tuple[str, ...]:
        """The methods to compare; of the usual methods, searches need a budget and no ``ratios``.

        Raises:
            OptionError: a name is unknown or given twice, or a search that was named has no budget or would have
                to keep to ``ratios``.
        """
        if self.methods is None:
            searched = budget is not None and self.ratios is None
            return tuple(name for name in USUAL if searched or name not in SEARCHES)
        names = named_once(self.methods, "methods", METHODS, "method")
        for name in names:
            if name in SEARCHES and self.ratios is not None:
                raise OptionError(f"`methods` {name} does not rank filters; leave {name} or `ratios` out.")
            if name in SEARCHES and budget is None:
                raise OptionError(f"`methods` {name} needs `budget` MASKS, or `run` to take its budget from.")
        return names


def _check_ratios(ratios: tuple[float, ...]) -> None:
    if not ratios or not all(low < high for low, high in pairwise((0, *ratios, 100))):
        given = ",".join(f"{ratio:g}" for ratio in ratios)
        raise OptionError(f"`ratios` must ascend between 0 and 100, as 10,20,30; {given!r} does not.")
