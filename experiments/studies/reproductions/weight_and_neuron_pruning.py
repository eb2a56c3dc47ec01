"""A dense network on Fashion-MNIST without its smallest weights, or without its smallest neurons.

Muppalla and Kumar, "Optimized Neural Network for Image Classification Using Pruning Techniques".

    evoprune reproduce weight-and-neuron-pruning OUT_DIR --data-dir FOLDER

FOLDER has Fashion-MNIST. Processor time on 2 cores beside other work: 2 minutes for each dense network, 4 for the
CNN, half a minute for all pruning. Expect 86 to 87% of the test images (theirs: 87.2), 85 without half
of the neurons (87.5), 57 without 80% (45.2), 10 without 90% (10.0), 77 without 90% of the weights (82.6), and 88
for the CNN (88.0).

See docs/reproductions/weight-and-neuron-pruning/page.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from experiments.baselines.steps import Steps
from experiments.data import datasets
from experiments.data.datasets import ImageSet
from experiments.progress import Reporter
from experiments.studies.reproductions import neuron_pruning
from experiments.studies.reproductions.common.answers import Answers
from experiments.studies.reproductions.common.bases import Base, train_once
from experiments.studies.reproductions.weight_and_neuron_pruning_page import write_page
from experiments.studies.weight_pruning import magnitudes, prune_weights, remove_lowest
from models.arrays import arrays_of
from models.contract import Network
from models.cost import network_cost
from models.model_directory import Model
from models.networks.registry import NETWORKS
from models.normalisation import Normalisation
from models.pruning import prune
from models.training.settings import TrainingSettings

NAME = "weight-and-neuron-pruning"
PIXELS = Normalisation((0.0,), (1.0,))
"""From 0 to 1, as in the document."""
PERCENTS = (0, 25, 50, 60, 70, 80, 90, 95, 97, 99)


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        data: named data set.
        validation: training images that the CNN is validated on, the first ones.
        width: of the networks, 1 for the document's.
        images: of each split; None takes all.
        percents: shares of weights or neurons that are removed; 0 and 50 are among them.
    """

    data: str
    validation: int
    width: float = 1.0
    images: int | None = None
    percents: tuple[int, ...] = PERCENTS


FULL = Plan("fashion_mnist", validation=5000)
QUICK = Plan("digits", validation=100, width=0.25)
# Adam as Keras has it by default, but for its epsilon (1e-7 there, 1e-8 here).
DENSE = TrainingSettings(
    epochs=5,
    batch_size=32,
    optimizer="adamw",
    learning_rate=0.001,
    schedule="constant",
    warmup_epochs=0.0,
    weight_decay=0.0,
    clip_norm=0.0,
    augmentation="none",
)
CNN = replace(DENSE, epochs=2)


def run(out: Path, *, plan: Plan, data_dir: str | None, reporter: Reporter) -> dict[str, Any]:
    """See :mod:`experiments.studies.reproductions`."""
    steps = Steps(out, {"experiment": NAME, "plan": asdict(plan), "dense": asdict(DENSE), "cnn": asdict(CNN)})
    train, test = (
        datasets.load(plan.data, split, data_dir=data_dir, images=plan.images, image_size=28)
        for split in ("train", "test")
    )
    validation, fitted = (
        replace(train, pixels=train.images[part], labels=train.labels[part])
        for part in (slice(plan.validation), slice(plan.validation, None))
    )

    def base(name: str, network: str, images: ImageSet, settings: TrainingSettings) -> Base:
        def start() -> Model:
            architecture = NETWORKS[network](
                width_multiplier=plan.width, classes=len(train.classes), input_shape=train.images.shape[1:]
            )
            return Model(architecture.build(settings.seed), PIXELS, train.classes)

        return train_once(steps, name, start, images, settings, reporter)

    judge = Judge(test, plan.percents)
    dense = base("dense", "mlp", train, DENSE)
    measured: dict[str, Any] = {
        "dense": steps.once("dense", partial(judge.base, dense)),
        "curves": {
            name: steps.once(f"curve-{name}", partial(judge.curve, dense.model.network, rule))
            for name, rule in PRUNINGS.items()
        },
    }
    again = base("dense-again", "mlp", train, replace(DENSE, seed=1))
    measured["again"] = steps.once("dense-again", partial(judge.base, again))
    measured["again_pruned"] = steps.once(
        "dense-again-pruned", partial(judge.pruned, again.model.network, PRUNINGS["neurons"], 50)
    )
    cnn = base("cnn", "fashion_cnn", fitted, CNN)
    measured["cnn"] = steps.once("cnn", partial(judge.base, cnn))
    measured["cnn_validation"] = steps.once("cnn-validation", lambda: Judge(validation, ()).base(cnn)["accuracy"])
    measured["correlations"] = {
        name: float(np.corrcoef(plan.percents, [row["accuracy"] for row in measured["curves"][name]])[0, 1])
        for name in ("weights", "neurons")
    }
    page = write_page(out, measured, quick=plan != FULL)
    return {"page": str(page), **measured}


Rule = Callable[[Network, float], Network]
"""Network and percent -> the pruned network."""


def without_weights(network: Network, percent: float) -> Network:
    """Without the smallest ``percent`` of all weights of the hidden layers; biases and the last layer stay."""
    arrays = arrays_of(network)
    names = [neuron_pruning.kernel_name(group.name) for group in network.filter_groups]
    scores = magnitudes({name: arrays[name] for name in names})
    return prune_weights(network, remove_lowest(scores, percent)).network


PRUNINGS: Mapping[str, Rule] = {
    "weights": without_weights,
    "neurons": lambda network, percent: prune(network, neuron_pruning.keep_largest(network, percent)),
    "bias_kept": lambda network, percent: neuron_pruning.zero_columns(
        network, neuron_pruning.keep_largest(network, percent)
    ),
    "as_printed": lambda network, percent: neuron_pruning.zero_columns(
        network, neuron_pruning.keep_as_printed(network, percent)
    ),
}
"""The document's two rules, and the second rule as the listing does it: see :mod:`.neuron_pruning`."""


class Judge:
    """Measures the accuracy and the time of networks on some images.

    Times are processor seconds without compilation; processor seconds leave out other work of the machine.
    """

    def __init__(self, images: ImageSet, percents: Sequence[float]):
        self._percents = percents
        self._labels = images.labels
        self._answers = Answers(PIXELS, images.images)

    def base(self, base: Base) -> dict[str, Any]:
        """A trained network."""
        return {
            **self._row(base.model.network),
            "seconds": base.seconds,
            "processor_seconds": base.processor_seconds,
        }

    def curve(self, network: Network, rule: Rule) -> list[dict[str, Any]]:
        """A row for each share."""
        return [self.pruned(network, rule, percent) for percent in self._percents]

    def pruned(self, network: Network, rule: Rule, percent: float) -> dict[str, Any]:
        """``seconds``: of pruning and of all answers, as the document times both together."""
        started = process_time()
        pruned = rule(network, percent)
        seconds = process_time() - started
        row = self._row(pruned)
        return {"percent": percent, **row, "seconds": seconds + row["test_seconds"]}

    def _row(self, network: Network) -> dict[str, Any]:
        self._answers.compile(network)
        started = process_time()
        classes = self._answers(network)
        return {
            "accuracy": float(np.mean(classes == self._labels)),
            "test_seconds": process_time() - started,
            "parameters": network_cost(network)[0],
        }
