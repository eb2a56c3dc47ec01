"""Options of the commands that train: ``train``, ``finetune`` and ``prune-finetune``."""

from collections.abc import Callable

import click

from experiments.cli_options import Command


def training_options(
    learning_rate: float, warmup_epochs: float, epochs: int | None = None
) -> Callable[[Command], Command]:
    """All fields of :class:`models.training_settings.TrainingSettings`, with the defaults that differ.

    Without ``epochs`` there is no such option.
    """

    def decorate(command: Command) -> Command:
        options = [
            click.option("--batch-size", type=int, default=128, show_default=True, help="Images in a step."),
            click.option(
                "--optimizer",
                default="sgd",
                show_default=True,
                help="sgd, or adamw (which is Adam with --weight-decay 0).",
            ),
            click.option(
                "--learning-rate",
                type=float,
                default=learning_rate,
                show_default=True,
                help="Peak; 0.001 suits adamw.",
            ),
            click.option(
                "--schedule",
                default="cosine",
                show_default=True,
                help="Of the learning rate behind the warm-up: cosine (decay to 0) or constant.",
            ),
            click.option(
                "--warmup-epochs",
                type=float,
                default=warmup_epochs,
                show_default=True,
                help="Epochs in which the learning rate rises from 0.",
            ),
            click.option(
                "--momentum", type=float, default=0.9, show_default=True, help="Of sgd; 0 is plain SGD."
            ),
            click.option(
                "--nesterov/--no-nesterov",
                default=True,
                show_default=True,
                help="Nesterov's momentum or the classical one.",
            ),
            click.option("--weight-decay", type=float, default=5e-4, show_default=True, help="On kernels only."),
            click.option(
                "--clip-norm",
                type=float,
                default=1.0,
                show_default=True,
                help="Largest gradient norm; 0 does not clip.",
            ),
            click.option(
                "--augmentation",
                default="crop-flip",
                show_default=True,
                help="none, crop, crop-flip or flip-rotate-jitter (jitter: brightness, contrast, saturation).",
            ),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random."
            ),
        ]
        if epochs is not None:
            options.insert(
                0,
                click.option(
                    "--epochs", type=int, default=epochs, show_default=True, help="Passes over the data."
                ),
            )
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def sensitivity_option(command: Command) -> Command:
    """``--track-sensitivity``."""
    return click.option(
        "--track-sensitivity",
        is_flag=True,
        help="Also gather Karnin's sensitivity of each weight, into sensitivity.safetensors of the model "
        "directory; the training stays the same.",
    )(command)
