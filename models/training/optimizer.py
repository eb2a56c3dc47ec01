"""The Optax chain of a training run: clipping, weight decay on kernels only, SGD or AdamW, and the rates."""

from typing import Any

import jax
import optax

from models.training.settings import TrainingSettings


def learning_rates(settings: TrainingSettings, steps_per_epoch: int) -> optax.Schedule:
    """Step, counted from 0, -> learning rate: a linear warm-up from 0, then the schedule.

    The warm-up takes half of all steps at most. With one, the very first rate is 0.
    """
    total = settings.epochs * steps_per_epoch
    warmup = min(round(settings.warmup_epochs * steps_per_epoch), total // 2)
    if settings.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(0.0, settings.learning_rate, warmup, total)
    if warmup == 0:
        return optax.constant_schedule(settings.learning_rate)
    return optax.warmup_constant_schedule(0.0, settings.learning_rate, warmup)


def make_optimizer(settings: TrainingSettings, rates: optax.Schedule) -> optax.GradientTransformation:
    """The Optax chain for these settings; ``rates`` are :func:`learning_rates`."""
    clip = optax.clip_by_global_norm(settings.clip_norm) if settings.clip_norm > 0 else optax.identity()
    if settings.optimizer == "adamw":
        adamw = optax.adamw(rates, weight_decay=settings.weight_decay, mask=_kernels)
        return optax.chain(clip, adamw)
    return optax.chain(
        clip,
        optax.add_decayed_weights(settings.weight_decay, mask=_kernels),
        optax.sgd(rates, momentum=settings.momentum or None, nesterov=settings.nesterov),
    )


def _kernels(parameters: Any) -> Any:
    """True for arrays of two or more dimensions: biases and batch norm are not decayed."""
    return jax.tree.map(lambda array: array.ndim > 1, parameters)
