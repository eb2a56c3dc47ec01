"""One cycle of seeds 000 and 002: rank the filters, remove the least important, fine-tune what is left."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.errors import OptionError
from engine.layout import Layout
from experiments.datasets import ImageSet
from experiments.environment import versions
from experiments.measuring import DataOptions, measure
from experiments.progress import Reporter
from experiments.training_run import data_note, fit
from fitness.genome import Genome
from fitness.importance import IMPORTANCES, Importance, Subject
from fitness.removal import most_removable, remove_least
from models.cost import network_cost
from models.pruning import prune_model
from models.sensitivity import SensitivityRule
from models.store import Model
from models.training_settings import TrainingSettings


@dataclass(frozen=True)
class PruneFinetuneOptions:
    """What decides a sequence of cycles, beside the model.

    Attributes:
        data: images to rank and to fine-tune on.
        method: what ranks the filters, a name of :data:`fitness.importance.IMPORTANCES` or, for an importance
            of one's own, any other.
        remove: share of the model's filters that is to be gone in the end, above 0 and below 1.
        step: filters removed in a cycle if 1 or more, else their share of the model's filters.
        training: how each cycle fine-tunes; None does not.
        prune: which filters, ``convolutions`` or ``all``.
        seed: cycle n ranks with ``seed + n`` and trains with the settings' ``seed + n``.

    Raises:
        OptionError: a value out of its range.
    """

    data: DataOptions
    method: str
    remove: float = 0.25
    step: float = 0.05
    training: TrainingSettings | None = None
    prune: str = "convolutions"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.remove < 1:
            raise OptionError(f"--remove is a share of the filters, above 0 and below 1, not {self.remove}.")
        if not 0 < self.step < float("inf") or (self.step >= 1 and self.step != int(self.step)):
            raise OptionError(
                f"--step is a whole number of filters, or a share of them below 1, not {self.step}."
            )

    def importance(self) -> Importance:
        """The registered importance of that name.

        Raises:
            OptionError: there is none.
        """
        if self.method not in IMPORTANCES:
            raise OptionError(f"--method must be one of {', '.join(IMPORTANCES)}, not {self.method!r}.")
        return IMPORTANCES[self.method]

    def filters_to_remove(self, layout: Layout) -> int:
        """How many filters of the original ``layout`` are to be gone in the end, rounded up.

        Raises:
            OptionError: a layer would be left without filters.
        """
        count = math.ceil(self.remove * layout.n_filters - 1e-9)
        most = most_removable(layout)
        if count > most:
            raise OptionError(
                f"--remove {self.remove} takes {count:,} of {layout.n_filters:,} filters, which leaves a layer "
                f"without any; at most {most:,} can go: give {most / layout.n_filters:.3f} or less."
            )
        return count

    def filters_per_cycle(self, layout: Layout) -> int:
        """How many filters go in a cycle, at least 1."""
        return int(self.step) if self.step >= 1 else max(1, round(self.step * layout.n_filters))

    def to_json(self) -> dict[str, Any]:
        """What two runs must share for one to continue the other."""
        return asdict(replace(self, data=self.data.resolved()))


def describe(
    cycle: int, model: Model, prune: str, before: dict[str, float], after: dict[str, float]
) -> dict[str, Any]:
    """The journal row of a cycle. Accuracies are from 0 to 1, by split, before and after fine-tuning."""
    layout = Genome.of(model.network, prune).layout
    parameters, macs = network_cost(model.network)
    return {
        "cycle": cycle,
        "filters": layout.n_filters,
        "filters_by_layer": dict(zip(layout.names, layout.sizes, strict=True)),
        "parameters": parameters,
        "macs": macs,
        "accuracy_before": before,
        "accuracy": after,
    }


def accuracies(model: Model, images: ImageSet, held_out: ImageSet | None) -> dict[str, float]:
    """Accuracy, 0 to 1, by split."""
    measured = [measure(model, chosen) for chosen in (images, held_out) if chosen is not None]
    return {result["split"]: result["accuracy"] for result in measured}


def run_cycle(
    model: Model,
    cycle: int,
    count: int,
    images: ImageSet,
    held_out: ImageSet | None,
    options: PruneFinetuneOptions,
    importance: Importance,
    reporter: Reporter,
) -> tuple[Model, dict[str, Any]]:
    """Remove the ``count`` least important filters of ``model``, which is left as it is, and fine-tune.

    A model with sensitivities keeps having them: gathered anew by fine-tuning, else those of what is left.

    Returns:
        The smaller model and its journal row.

    Raises:
        ImportanceError: the method cannot rank this model.
        TrainingError: the loss is no longer finite.
    """
    layout = Genome.of(model.network, options.prune).layout
    subject = Subject(model, layout, images.images, images.labels, options.seed + cycle)
    mask = remove_least(importance(subject), layout, count)
    smaller = prune_model(model, layout.split(mask))
    smaller.notes = {"data": data_note(model, images), "versions": versions()}
    before = accuracies(smaller, images, held_out)
    if options.training is None:
        return smaller, describe(cycle, smaller, options.prune, before, before)
    settings = replace(options.training, seed=options.training.seed + cycle)
    rule: SensitivityRule | None = None if model.sensitivity is None else "karnin"
    fit(smaller, images, held_out, settings, sensitivity=rule, reporter=reporter)
    after = {split: entry["accuracy"] for split, entry in smaller.notes["accuracies"].items()}
    return smaller, describe(cycle, smaller, options.prune, before, after)
