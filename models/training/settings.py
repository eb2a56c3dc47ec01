"""The settings of a training run, with their defaults, help and ranges."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

from models.errors import TrainingError
from models.training.augmentation import AUGMENTATIONS


def _option(default: Any, help: str, choices: Iterable[str] = ()) -> Any:
    """A field with the metadata from which a command line makes its option."""
    return field(default=default, metadata={"help": help, "choices": tuple(choices), "metavar": None})


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the metadata of each field has its ``help`` and ``choices``.

    The defaults train a VGG without batch norm: SGD with Nesterov momentum, an epoch of warm-up and gradients
    clipped to norm 1. Without warm-up and clipping such a network stays at chance.

    Raises:
        TrainingError: a value is out of its range.
    """

    epochs: int = _option(12, "Passes over the training images.")
    batch_size: int = _option(128, "Images in a step.")
    optimizer: Literal["sgd", "adamw"] = _option(
        "sgd", "sgd, or adamw (Adam if the weight decay is 0).", ("sgd", "adamw")
    )
    learning_rate: float = _option(0.05, "Peak of the learning rate; 0.001 suits adamw.")
    schedule: Literal["cosine", "constant"] = _option(
        "cosine",
        "The learning rate after the warm-up: cosine (falls to 0) or constant.",
        ("cosine", "constant"),
    )
    warmup_epochs: float = _option(1.0, "Epochs in which the learning rate rises from 0 to its peak.")
    momentum: float = _option(0.9, "Momentum of sgd; 0 is plain SGD.")
    nesterov: bool = _option(True, "Use Nesterov momentum instead of classical (Polyak) momentum.")
    weight_decay: float = _option(5e-4, "Weight decay of kernels; biases and batch norm have none.")
    clip_norm: float = _option(1.0, "Largest norm of all gradients together; 0 does not clip.")
    augmentation: str = _option(
        "crop-flip",
        "Random changes of the training images; jitter changes brightness, contrast and saturation.",
        AUGMENTATIONS,
    )
    seed: int = _option(0, "Seed of the order of images, of augmentation and of dropout.")

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise TrainingError(f"`{name}` must be 1 or more, not {getattr(self, name)}.")
        if not 0 < self.learning_rate < inf:
            raise TrainingError(f"`learning_rate` must be above 0 and finite, not {self.learning_rate}.")
        if not 0 <= self.momentum < 1:
            raise TrainingError(f"`momentum` must be at least 0 (plain SGD) and below 1, not {self.momentum}.")
        for name in ("warmup_epochs", "weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < inf:
                raise TrainingError(f"`{name}` must be 0 or more and finite, not {getattr(self, name)}.")
        if not 0 <= self.seed < 2**63:
            raise TrainingError(f"`seed` must be from 0 to 2**63 - 1, not {self.seed}.")
        for each in self.__dataclass_fields__.values():
            choices, value = each.metadata["choices"], getattr(self, each.name)
            if choices and value not in choices:
                raise TrainingError(f"`{each.name}` must be one of {', '.join(choices)}, not {value!r}.")
