"""One cycle of pruning and fine-tuning: rank the filters, remove the least important, fine-tune the network.

The procedure of Almarashi 2024 (Taylor, ResNet-20) and of Asaraf Ali (LeNet-5, cosine similarity).
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from engine.errors import OptionError
from engine.layout import Layout
from engine.options import option
from experiments.data.datasets import ImageSet
from experiments.data.options import DataOptions
from experiments.environment import versions
from experiments.measurement.measuring import measure
from experiments.progress import Reporter
from experiments.training.train import data_note, fit
from fitness.genome import GENOMES, Genome
from fitness.importance import IMPORTANCES, Importance, Subject
from fitness.seeding.ranking import most_removable, remove_least
from models.cost import network_cost
from models.model_directory import Model
from models.pruning import prune_model
from models.training.sensitivity import SensitivityRule
from models.training.settings import TrainingSettings


@dataclass(frozen=True)
class PruneFinetuneOptions:
    """Everything that decides a sequence of cycles, except the model.

    Attributes:
        data: images to rank and to fine-tune on.
        method: a name of :data:`fitness.importance.IMPORTANCES`, or another name for an importance that is a
            function of the caller.
        training: how each cycle fine-tunes; None does not fine-tune.
        seed: cycle n ranks with ``seed + n`` and trains with the settings' ``seed + n``.

    Raises:
        OptionError: a value out of its range.
    """

    data: DataOptions
    method: str = option(
        MISSING, "Importance that ranks the filters. An unknown name lists the known ones.", metavar="NAME"
    )
    remove: float = option(0.25, "Share of the filters to remove in the end.")
    step: float = option(
        0.05, "Filters to remove in a cycle: a whole number, or below 1 their share of the model's filters."
    )
    training: TrainingSettings | None = None
    prune: str = option("convolutions", "Filters that may be removed.", choices=GENOMES)
    seed: int = option(0, "Seed of everything random.")
    force: bool = option(
        False, "Go on where the unpruned network is no better than chance, or labels or pixels cannot be right."
    )

    def __post_init__(self) -> None:
        if not 0 < self.remove < 1:
            raise OptionError(f"`remove` is a share of the filters, above 0 and below 1, not {self.remove}.")
        if not 0 < self.step < float("inf") or (self.step >= 1 and self.step != int(self.step)):
            raise OptionError(
                f"`step` is a whole number of filters, or a share of them below 1, not {self.step}."
            )

    def importance(self) -> Importance:
        """The registered importance of that name.

        Raises:
            OptionError: there is none.
        """
        if self.method not in IMPORTANCES:
            raise OptionError(f"`method` must be one of {', '.join(IMPORTANCES)}, not {self.method!r}.")
        return IMPORTANCES[self.method]

    def filters_to_remove(self, layout: Layout) -> int:
        """How many filters of the original ``layout`` to remove in the end, rounded up.

        Raises:
            OptionError: a layer would be left without filters.
        """
        count = math.ceil(self.remove * layout.n_filters - 1e-9)
        most = most_removable(layout)
        if count > most:
            raise OptionError(
                f"`remove` {self.remove} takes {count:,} of {layout.n_filters:,} filters, which leaves a layer "
                f"without any; at most {most:,} can go: give {most / layout.n_filters:.3f} or less."
            )
        return count

    def filters_per_cycle(self, layout: Layout) -> int:
        """How many filters to remove in a cycle, at least 1."""
        return int(self.step) if self.step >= 1 else max(1, round(self.step * layout.n_filters))

    def to_json(self) -> dict[str, Any]:
        """The options that two runs must share for one to continue the other."""
        entry = asdict(replace(self, data=self.data.resolved()))
        del entry["force"]
        return entry


def cycle_training(epochs: int, options: Mapping[str, Any]) -> TrainingSettings | None:
    """How a cycle of ``epochs`` epochs fine-tunes; None for 0 epochs.

    ``options`` has the other fields of :class:`TrainingSettings`, which must be valid even for 0 epochs.

    Raises:
        OptionError, TrainingError: a value out of its range.
    """
    if epochs < 0:
        raise OptionError(f"`epochs_per_step` must be 0 or more, not {epochs}.")
    names = {field.name for field in fields(TrainingSettings)} & options.keys()
    settings = TrainingSettings(**{**{name: options[name] for name in names}, "epochs": max(1, epochs)})
    return settings if epochs > 0 else None


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
    return {result.split: result.accuracy for result in measured}


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

    If ``model`` has sensitivities, so has the smaller model: gathered anew by fine-tuning, or else those of the
    remaining weights.

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
