"""``python -m experiments.quality``: see the package."""

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
@click.option("--evaluations", type=int, default=1000, show_default=True, help="Masks for each search.")
@click.option("--seeds", type=int, default=3, show_default=True, help="Searches of each method.")
@click.option("--methods", help="Names joined by commas; all if not given (docs/search-quality.md).")
@click.option("--compensations", default="none,linear", show_default=True, help="Of --compensate.")
@click.option("--thresholds", callback=numbers, default="2", show_default=True, help="Percent, as 0.5,1,2,5.")
@click.option("--objective", type=click.Choice(["parameters", "macs"]), default="parameters", show_default=True)
@click.option(
    "--train-images",
    type=click.IntRange(min=1),
    help="Of the training split, for the last word; all if not given.",
)
@click.option("--quick", is_flag=True, help="A small network on digits and a small budget, in a minute.")
def main(
    out_dir: Path,
    model: Path | None,
    data: str,
    data_dir: str | None,
    images: int,
    evaluations: int,
    seeds: int,
    methods: str | None,
    compensations: str,
    thresholds: tuple[float, ...],
    objective: str,
    train_images: int | None,
    quick: bool,
) -> None:
    """Compare what searches find at equal budget; goes on where it was stopped, and adds what is named anew."""
    from experiments.measuring import DataOptions
    from experiments.quality.methods import METHODS
    from experiments.quality.protocol import QualityOptions, run_quality
    from experiments.quality.quick import quick_options

    if model is None and not quick:
        raise click.UsageError("give --model MODEL_DIR, or --quick for a small network on digits.")
    with interruptible("the same command goes on with it.") as terminal:
        if quick:
            options = quick_options(out_dir.with_name(out_dir.name + "-model"), terminal)
        else:
            chosen = DataOptions(data, data_dir=data_dir, images=images)
            options = QualityOptions(
                str(model),
                chosen,
                evaluations,
                seeds,
                methods or ",".join(METHODS),
                compensations,
                thresholds,
                objective,
                train_images,
            )
        run_quality(out_dir, options, terminal)
    click.echo((out_dir / "tables.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
