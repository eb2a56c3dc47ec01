"""Everything that a search was asked for, and its form in ``run.json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from engine.cluster.options import PoolOptions
from engine.errors import OptionError, RunError
from engine.options import named_once, option, read_options
from engine.search.settings import SearchSettings
from experiments.data.options import DataOptions
from experiments.runs.patience import check_patience
from experiments.runs.presets import preset_values
from fitness.evaluation.evaluator import on_gpu, usual_batch
from fitness.evaluation.precision import PRECISIONS, resolved
from fitness.evaluation.tree.kept_carries import KEPT_BYTES
from fitness.genome import GENOMES
from fitness.importance import IMPORTANCES
from fitness.objective.cost import check_algorithm
from fitness.objective.front import FIGURES, check_front, default_limit, named_objectives
from fitness.objective.rewards import OBJECTIVES, check_objective
from fitness.seeding.founders import LARGEST_COMPENSATED_REMOVAL, LARGEST_REMOVAL, Ladders
from models.compensation.method import COMPENSATIONS, check_method

NONE = "none"
"""The value of ``compensate`` that changes no weight."""

CALIBRATION_IMAGES = 500
"""Where batch norm's statistics are measured; docs/compensation.md has the measurement."""

LEAST_CALIBRATION = 2

BACKENDS = ("local", "ray")

Settings = TypeVar("Settings", bound="SearchOptions | Backend")


@dataclass(frozen=True)
class SearchOptions:
    """Options of ``evoprune search``; the defaults are those of the thesis, Table 3.1.

    The command begins with the preset ``quality`` instead, as :meth:`preset` does with ``PRESETS["quality"]``.

    A search with ``batch_size`` None picks one for the device when the run begins, and keeps it, because the
    batch size may decide the last bit of a logit.

    Raises:
        OptionError: a value out of its range.
    """

    model: str = field(metadata={"help": "Model directory to search.", "metavar": "DIR"})
    data: DataOptions
    generations: int = option(100, "Generations to search (M).")
    threshold: float = option(2.0, "BEST must lose less accuracy than this, in percent of the original accuracy.")
    weight: float = field(default=0.5, metadata={"help": "Lambda of Algorithm 1, 0 to 1.", "spelling": "lambda"})
    offset: float = field(default=10.0, metadata={"help": "Epsilon of Algorithm 1.", "spelling": "epsilon"})
    prune: str = option("convolutions", "Filters that masks may remove.", choices=GENOMES)
    batch_size: int | None = option(None, "Images in a batch. Chosen for the device if not given.")
    precision: str = option(
        "auto", "Type that masks are evaluated in. auto is bfloat16 on a GPU, else float32.", choices=PRECISIONS
    )
    seed_with: str | None = option(
        None,
        "Importances that half of the initial individuals come from, as taylor,magnitude. They are computed on "
        "the fitness images. All individuals start near the original if not given.",
        metavar="METHODS",
    )
    floor: str | None = option(
        None,
        "Shares of each layer's filters that initial individuals keep, as 0,0.1,0.2, dealt out evenly. The "
        "search may remove more.",
        metavar="SHARES",
    )
    climb: bool = option(
        False,
        "Start all individuals at the largest removal within the threshold along each importance of `seed_with`.",
    )
    compensate: str = option(
        NONE,
        "How kept filters replace removed ones, without retraining: by their mean, by the most similar kept "
        "filter (merge), or by linear regression on all kept filters; none leaves weights alone. recalibrate, or "
        "one of the others with +recalibrate, measures the statistics of batch norms anew, for each mask.",
        choices=(NONE, *COMPENSATIONS),
        metavar="METHOD",
    )
    compensation_images: int = option(1500, "Largest number of training images that `compensate` learns from.")
    calibration_images: int = option(
        CALIBRATION_IMAGES,
        "Training images on which recalibrate measures, others than the fitness images if possible.",
    )
    objective: str = option(
        "parameters",
        "What BEST drops most of. latency is the time of the layers on this device, which is measured first.",
        choices=OBJECTIVES,
    )
    latency_batch: int = option(1, "Images at a time for which `objective` latency is measured.")
    objectives: str | None = option(
        None,
        "Search for a whole front by NSGA-II: accuracy,parameters or accuracy,macs or accuracy,parameters,macs.",
        metavar="LIST",
    )
    front_limit: float | None = option(
        None,
        "Largest accuracy drop of interest on that front, in percent. If not given: 10, or five thresholds if "
        "that is more.",
    )
    patience: int = option(
        0,
        "Stop after N generations in which neither the score of BEST nor the hypervolume of the front rose by a "
        "thousandth. 0 never stops.",
        metavar="N",
    )
    finish: bool = option(
        False,
        "End with a finish: refit the best masks, also some beyond `threshold`, judge them on training images "
        "that neither search nor refit saw, and keep the best that holds as RESULT.",
    )
    force: bool = option(
        False, "Go on where the unpruned network is no better than chance, or labels or pixels cannot be right."
    )
    settings: SearchSettings = field(default_factory=SearchSettings)

    def __post_init__(self) -> None:
        if self.generations < 0:
            raise OptionError(f"`generations` must be 0 or more, not {self.generations}.")
        check_algorithm(self.threshold, self.weight, self.offset)
        check_patience(self.patience)
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"`batch_size` must be 1 or more, not {self.batch_size}.")
        resolved(self.precision, on_gpu=False)
        check_objective(self.objective)
        if self.latency_batch < 1:
            raise OptionError(f"`latency_batch` must be 1 or more, not {self.latency_batch}.")
        check_compensation(self.compensate, self.compensation_images, self.calibration_images)
        if self.seed_with is not None:
            self.ladders.check_places(self.settings.population, len(self.seeds))
        else:
            self._check_no_order_is_needed()
        check_front(self.objectives, self.front_limit, self.threshold, self.settings.race)

    def _check_no_order_is_needed(self) -> None:
        for given, name in (
            (self.floor is not None, f"`floor` {self.floor}"),
            (self.climb, "`climb`"),
            (self.settings.guided, f"`mutate` {self.settings.mutate}"),
        ):
            if given:
                raise OptionError(f"{name} needs importances to go by; name some with `seed_with`.")

    @classmethod
    def preset(cls, name: str | None, model: str, data: DataOptions, **others: Any) -> "SearchOptions":
        """With the values that ``evoprune search --preset`` has for the network.

        Args:
            name: of a preset (:mod:`experiments.runs.presets`); None takes the one that suits the network.
            model: a model directory.
            data: the images.
            others: fields of this class or of :class:`SearchSettings`, which win over the preset.

        Raises:
            OptionError: an unknown preset, or a value out of its range.
            StoreError, NetworkError: the model cannot be read.
        """
        values, _ = preset_values(name, model, others)
        return cls.of_values(model, data, values, **others)

    @classmethod
    def of_values(
        cls, model: str, data: DataOptions, values: Mapping[str, Any], **others: Any
    ) -> "SearchOptions":
        """From fields of this class and of :class:`SearchSettings`; ``others`` win over ``values``.

        Raises:
            OptionError: a value out of its range.
        """
        names = {field.name for field in fields(SearchSettings)}
        chosen = {**values, **others}
        settings = SearchSettings(**{name: chosen.pop(name) for name in names & chosen.keys()})
        return cls(model, data, settings=settings, **chosen)

    @property
    def aims(self) -> tuple[str, ...]:
        """The objectives of a search for a front, accuracy first; none of a search for BEST alone."""
        return () if self.objectives is None else named_objectives(self.objectives)

    @property
    def goal(self) -> str:
        """The figure, a drop in percent, that the masks of a front are to have much of.

        For a search for a front that is not about ``objective``, the first of ``objectives`` beside accuracy.
        """
        if self.aims and self.objective not in self.aims:
            return FIGURES[self.aims[1]]
        return FIGURES[OBJECTIVES[self.objective].on_fronts]

    @property
    def limit(self) -> float:
        """``front_limit``, or its default if none was given."""
        return default_limit(self.threshold) if self.front_limit is None else self.front_limit

    @property
    def seeds(self) -> tuple[str, ...]:
        """The methods that ``seed_with`` names; none without it.

        Raises:
            OptionError: one is unknown or named twice.
        """
        return () if self.seed_with is None else named_once(self.seed_with, "seed_with", IMPORTANCES, "method")

    @property
    def ladders(self) -> Ladders:
        """How seeds stand on their importances.

        Raises:
            OptionError: ``floor`` is no list of shares.
        """
        floors: tuple[float, ...] = (0.0,)
        if self.floor is not None:
            try:
                floors = tuple(float(share) for share in self.floor.split(","))
            except ValueError:
                raise OptionError(
                    f"`floor` {self.floor!r} is not a list of numbers; write shares of a layer as 0,0.1,0.2."
                ) from None
        largest = LARGEST_REMOVAL if self.compensate == NONE else LARGEST_COMPENSATED_REMOVAL
        return Ladders(floors, self.climb, largest)

    def on(self, backend: "Backend") -> "SearchOptions":
        """These options with batch size and precision settled, so that resuming elsewhere changes nothing."""
        batch = self.batch_size or usual_batch(gpu=backend.on_gpu())
        return replace(self, batch_size=batch, precision=resolved(self.precision, backend.on_gpu()))

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds equal options."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Any) -> "SearchOptions":
        """Inverse of :meth:`to_json`.

        Raises:
            RunError: it was written by another version, or by hand.
        """
        return _recorded(cls, entry)


def check_compensation(method: str, images: int, calibration_images: int = CALIBRATION_IMAGES) -> None:
    """Refuse options that cannot be used.

    Raises:
        CompensationError: an unknown method.
        OptionError: no images.
    """
    if method != NONE:
        check_method(method)
    if images < 1:
        raise OptionError(f"`compensation_images` must be 1 or more, not {images}.")
    if calibration_images < LEAST_CALIBRATION:
        raise OptionError(
            f"`calibration_images` must be {LEAST_CALIBRATION} or more, not {calibration_images}: fewer have no "
            "variance."
        )


@dataclass(frozen=True)
class Backend:
    """Where masks are evaluated; has no influence on results.

    Raises:
        OptionError: an unknown backend.
    """

    name: str = option(
        "local", "Evaluate in this process, or on Ray workers. Results are the same.", choices=BACKENDS
    )
    pool: PoolOptions = field(default_factory=PoolOptions)
    keep_memory: int = option(
        KEPT_BYTES >> 20,
        "Memory of each process, in megabytes, for results of masks that their offspring reuse. 0 keeps nothing.",
        metavar="MB",
    )

    def __post_init__(self) -> None:
        if self.keep_memory < 0:
            raise OptionError(f"`keep_memory` must be 0 or more megabytes, not {self.keep_memory}.")
        if self.name not in BACKENDS:
            raise OptionError(f"`backend` must be {' or '.join(BACKENDS)}, not {self.name!r}.")

    @classmethod
    def from_json(cls, entry: Any) -> "Backend":
        """The backend that a run recorded.

        Raises:
            RunError: it was written by another version, or by hand.
            OptionError: it is a cluster elsewhere, which is joined only where the user says so: a cluster
                has its members run code, and a run directory may come from anybody.
        """
        backend = _recorded(cls, entry)
        if backend.name == "ray" and backend.pool.address not in (None, "auto"):
            raise OptionError(
                f"the run was on the Ray cluster {backend.pool.address!r}; give `backend` ray with the `address` "
                "of a cluster that you trust, or `backend` local."
            )
        return backend

    def on_gpu(self) -> bool:
        """Whether masks are evaluated on GPUs."""
        return self.pool.gpus_per_worker > 0 if self.name == "ray" else on_gpu()


def _recorded(kind: type[Settings], entry: Any) -> Settings:
    """What ``run.json`` holds of a settings dataclass.

    Raises:
        RunError: another version, or a person, wrote the object.
    """
    try:
        return read_options(kind, entry)
    except OptionError as error:
        raise RunError(f"run.json cannot be used: {error}") from error
