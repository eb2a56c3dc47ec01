"""The commands of ``evoprune``, one a file. Heavy packages are imported when a command runs, not for its help."""

import click

from experiments.commands.baseline import baseline
from experiments.commands.bench import bench
from experiments.commands.demo import demo
from experiments.commands.evaluate import evaluate
from experiments.commands.export import export
from experiments.commands.finetune import finetune
from experiments.commands.import_torch import import_torch
from experiments.commands.models import models
from experiments.commands.prune_finetune import prune_finetune
from experiments.commands.report import report
from experiments.commands.reproduce import reproduce
from experiments.commands.resume import resume
from experiments.commands.score import score
from experiments.commands.search import search
from experiments.commands.status import status
from experiments.commands.tensorboard import tensorboard
from experiments.commands.train import train


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="evoprune")
def evoprune() -> None:
    """Find the filters of a trained CNN that can be removed without retraining."""


for command in (
    models,
    train,
    import_torch,
    search,
    resume,
    status,
    export,
    finetune,
    prune_finetune,
    evaluate,
    score,
    bench,
    baseline,
    report,
    tensorboard,
    reproduce,
    demo,
):
    evoprune.add_command(command)
