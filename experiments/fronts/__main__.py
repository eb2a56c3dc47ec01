"""``python -m experiments.fronts``: see the package."""

from pathlib import Path

import click

from experiments.cli_options import MODEL_DIRECTORY, numbers
from experiments.commands.interruption import interruptible


@click.command()
@click.argument("out_dir", type=click.Path(path_type=Path))
@click.option("--model", type=MODEL_DIRECTORY, help="Trained model directory; --quick trains one.")
@click.option("--data", default="cifar10", show_default=True, help="As for evoprune search.")
@click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR", help="As for evoprune search.")
@click.option("--images", type=click.IntRange(min=1), default=5000, show_default=True, help="Fitness images.")
@click.option("--evaluations", type=int, default=250, show_default=True, help="Masks for each threshold.")
@click.option("--seeds", type=int, default=3, show_default=True, help="Repetitions of all searches.")
@click.option("--thresholds", callback=numbers, default="0.5,1,2,5", show_default=True, help="Percent.")
@click.option("--objective", type=click.Choice(["parameters", "macs"]), default="parameters", show_default=True)
@click.option("--compensate", default="linear", show_default=True, help="As for evoprune search.")
@click.option("--quick", is_flag=True, help="A small network on digits and a small budget, in a minute.")
def main(
    out_dir: Path,
    model: Path | None,
    data: str,
    data_dir: str | None,
    images: int,
    evaluations: int,
    seeds: int,
    thresholds: tuple[float, ...],
    objective: str,
    compensate: str,
    quick: bool,
) -> None:
    """Compare one search for a front with one for each threshold; goes on where it was stopped."""
    from experiments.fronts.protocol import FrontOptions, run_fronts
    from experiments.measuring import DataOptions
    from experiments.quality.quick import quick_model

    if model is None and not quick:
        raise click.UsageError("give --model MODEL_DIR, or --quick for a small network on digits.")
    with interruptible("the same command goes on with it.") as terminal:
        if quick:
            small = quick_model(out_dir.with_name(out_dir.name + "-model"), terminal)
            few = DataOptions("digits", images=200)
            options = FrontOptions(str(small), few, evaluations=60, seeds=1, thresholds=(1.0, 5.0))
        else:
            chosen = DataOptions(data, data_dir=data_dir, images=images)
            searched = evaluations, seeds, thresholds, objective, compensate
            options = FrontOptions(str(model), chosen, *searched)
        run_fronts(out_dir, options, terminal)
    click.echo((out_dir / "tables.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
