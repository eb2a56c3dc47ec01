"""``python -m experiments.studies.quality``: see the package."""

from pathlib import Path

import click

from experiments.cli.main import main
from experiments.cli.study_options import compare, study_options
from experiments.progress import Reporter


@click.command()
@study_options(evaluations=1000, thresholds="2")
@click.option("--methods", help="Names joined by commas; all if not given (docs/operators.md).")
@click.option("--compensations", default="none,linear", show_default=True, help="Of --compensate.")
@click.option(
    "--train-images",
    type=click.IntRange(min=1),
    help="Of the training split, for the last word; all if not given.",
)
def study(
    out_dir: Path,
    model: Path | None,
    data: str,
    data_dir: str | None,
    images: int,
    evaluations: int,
    seeds: int,
    thresholds: tuple[float, ...],
    objective: str,
    quick: bool,
    methods: str | None,
    compensations: str,
    train_images: int | None,
    force: bool,
) -> None:
    """Compare what searches find at equal budget.

    The same command goes on where it was stopped; with other methods, compensations, thresholds or more seeds it
    adds these.
    """
    from experiments.data.options import DataOptions
    from experiments.studies.quality.methods import METHODS
    from experiments.studies.quality.protocol import QualityOptions, run_quality
    from experiments.studies.quality.quick import quick_options

    def work(terminal: Reporter) -> None:
        if quick:
            options = quick_options(out_dir.with_name(out_dir.name + "-model"), terminal)
        else:
            options = QualityOptions(
                str(model),
                DataOptions(data, data_dir=data_dir, images=images),
                evaluations,
                seeds,
                methods or ",".join(METHODS),
                compensations,
                thresholds,
                objective,
                train_images,
                force,
            )
        run_quality(out_dir, options, terminal)

    compare(out_dir, model, quick, work)


if __name__ == "__main__":
    main(command=study)
