"""Reproductions of the experiments of five documents, one module each: ``evoprune reproduce NAME OUT_DIR``.

The header of a module states the command, its time on 2 cores and the result to expect. The module's ``run(out,
plan, data_dir, reporter)`` fills ``out`` and returns the results as JSON. The plan ``FULL`` repeats the
document's experiment. The plan ``QUICK`` runs the same code on scikit-learn's digits in a minute or so; its
figures mean nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from engine.errors import OptionError
from experiments.progress import Reporter

ALL = "all"
"""The name of all experiments, one after the other."""


@dataclass(frozen=True)
class Experiment:
    """A module of this package, and how long the document's experiment takes on 2 cores, in words."""

    module: str
    time: str


EXPERIMENTS: Mapping[str, Experiment] = {
    "weight-and-neuron-pruning": Experiment("weight_and_neuron_pruning", "10 minutes"),
    "karnin-convnet": Experiment("karnin_convnet", "5 minutes"),
    "merged-neurons": Experiment("merged_neurons", "30 minutes"),
    "taylor-resnet20": Experiment("taylor_resnet20", "3 hours, or 40 minutes with --model"),
    "paper-vgg": Experiment("paper_vgg", "7 hours, 5 of them for 900 generations of VGG-16"),
}
"""By their names on the command line."""


def run_reproduction(
    name: str,
    out: Path,
    *,
    quick: bool = False,
    data_dir: str | None = None,
    reporter: Reporter,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run one experiment, or go on with it where ``out`` holds a part of it.

    ``name``: of the experiment; ``all``: each of them in turn, in ``out/NAME``. ``options``: more keywords of the
    experiment's ``run``, which only some have.

    Returns:
        what the experiment measured, and ``page``, the path of what it wrote; for ``all``, this by name.

    Raises:
        OptionError: no such experiment, or it has no such option.
        RunError: ``out`` holds something else.
        DataError: the data cannot be read.
    """
    options = options or {}
    if name == ALL:
        return _run_all(out, quick, data_dir, reporter, options)
    if name not in EXPERIMENTS:
        names = ", ".join((*EXPERIMENTS, ALL))
        raise OptionError(f"there is no experiment {name!r}; name one of {names}.")
    module = import_module(f"{__name__}.{EXPERIMENTS[name].module}")
    run: Callable[..., dict[str, Any]] = module.run
    plan = module.QUICK if quick else module.FULL
    for option in options:
        if option not in signature(run).parameters:
            raise OptionError(f"the experiment {name} has no --{option}; leave it out.")
    return run(Path(out), plan=plan, data_dir=data_dir, reporter=reporter, **options)


def _run_all(
    out: Path, quick: bool, data_dir: str | None, reporter: Reporter, options: Mapping[str, Any]
) -> dict[str, Any]:
    if options:
        raise OptionError(f"not all experiments have --{next(iter(options))}; name one that has.")
    found = {}
    for name, experiment in EXPERIMENTS.items():
        reporter.message(name if quick else f"{name}, which takes {experiment.time}")
        found[name] = run_reproduction(name, out / name, quick=quick, data_dir=data_dir, reporter=reporter)
    return found
