"""What can be chosen about training, checked before anything is read."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.augmentation import AUGMENTATIONS
from models.errors import TrainingError

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Defaults: SGD with Nesterov momentum, the recipe that trains a VGG without batch norm (He initialisation,
    an epoch of warm-up and gradients clipped to norm 1; without these it stays at chance).

    Attributes:
        learning_rate: the peak, reached after ``warmup_epochs``.
        schedule: what follows the warm-up: a decay by cosine, or the peak throughout.
        momentum: of SGD; 0 is plain SGD.
        nesterov: whether the momentum is Nesterov's or the classical one (Polyak's).
        weight_decay: on kernels only; 0 makes AdamW Adam.
        clip_norm: largest norm of all gradients together; 0 does not clip.
        augmentation: a name of :data:`models.augmentation.AUGMENTATIONS`.
        seed: decides the order of the images, augmentation and dropout.

    Raises:
        TrainingError: a value out of its range.
    """

    epochs: int = 12
    batch_size: int = 128
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.05
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    clip_norm: float = 1.0
    augmentation: str = "crop-flip"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise TrainingError(
                f"--epochs and --batch-size must be 1 or more, not {self.epochs} and {self.batch_size}."
            )
        if not 0 < self.learning_rate < float("inf"):
            raise TrainingError(f"--learning-rate must be above 0 and finite, not {self.learning_rate}.")
        if not 0 <= self.momentum < 1:
            raise TrainingError(f"--momentum must be at least 0 (plain SGD) and below 1, not {self.momentum}.")
        amounts = (self.weight_decay, self.warmup_epochs, self.clip_norm)
        if not np.isfinite(amounts).all() or min(amounts) < 0:
            raise TrainingError(
                "--weight-decay, --warmup-epochs and --clip-norm must be 0 or more and finite (--clip-norm 0 is "
                f"no limit), not {self.weight_decay}, {self.warmup_epochs} and {self.clip_norm}."
            )
        if not 0 <= self.seed < 2**63:
            raise TrainingError(f"--seed must be from 0 to 2**63 - 1, not {self.seed}.")
        if self.optimizer not in OPTIMIZERS or self.schedule not in SCHEDULES:
            raise TrainingError(
                f"--optimizer is one of {', '.join(OPTIMIZERS)} and --schedule one of {', '.join(SCHEDULES)}, "
                f"not {self.optimizer!r} and {self.schedule!r}."
            )
        if self.augmentation not in AUGMENTATIONS:
            raise TrainingError(
                f"--augmentation is one of {', '.join(AUGMENTATIONS)}, not {self.augmentation!r}."
            )
