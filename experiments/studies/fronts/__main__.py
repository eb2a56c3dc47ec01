"""``python -m experiments.studies.fronts``: see the package."""

from pathlib import Path

import click

from experiments.cli.main import main
from experiments.cli.study_options import compare, study_options
from experiments.progress import Reporter


@click.command()
@study_options(evaluations=250, thresholds="0.5,1,2,5")
@click.option("--compensate", default="linear", show_default=True, help="As for evoprune search.")
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
    compensate: str,
    force: bool,
) -> None:
    """Compare one search for a front with one for each threshold, which has as many masks as all of these.

    The same command goes on where it was stopped, and adds seeds.
    """
    from experiments.data.options import DataOptions
    from experiments.studies.fronts.protocol import FrontOptions, run_fronts
    from experiments.studies.quality.quick import quick_model

    def work(terminal: Reporter) -> None:
        if quick:
            small = quick_model(out_dir.with_name(out_dir.name + "-model"), terminal)
            few = DataOptions("digits", images=200)
            options = FrontOptions(str(small), few, evaluations=60, seeds=1, thresholds=(1.0, 5.0))
        else:
            chosen = DataOptions(data, data_dir=data_dir, images=images)
            limits = (evaluations, seeds, thresholds)
            options = FrontOptions(str(model), chosen, *limits, objective, compensate, force)
        run_fronts(out_dir, options, terminal)

    compare(out_dir, model, quick, work)


if __name__ == "__main__":
    main(command=study)
