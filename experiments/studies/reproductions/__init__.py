"""Reproductions of the experiments of five documents, one module each: ``evoprune reproduce NAME OUT_DIR``.

The header of a module states the command, its time on 2 cores and the result to expect. The module's ``run(out,
plan, data_dir, reporter)`` fills ``out`` and returns the results as JSON. The plan ``FULL`` repeats the
document's experiment. The plan ``QUICK`` runs the same code on scikit-learn's digits in a minute or so; its
figures mean nothing.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from engine.errors import OptionError
from experiments.progress import Reporter

MODULES: Mapping[str, str] = {
    "weight-and-neuron-pruning": "weight_and_neuron_pruning",
    "karnin-convnet": "karnin_convnet",
    "merged-neurons": "merged_neurons",
    "taylor-resnet20": "taylor_resnet20",
    "paper-vgg": "paper_vgg",
}
"""Name on the command line -> module of this package."""


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

    ``options``: more keywords of the experiment's ``run``, which only some have.

    Returns:
        what the experiment measured, and ``page``, the path of what it wrote.

    Raises:
        OptionError: no such experiment, or it has no such option.
        RunError: ``out`` holds something else.
        DataError: the data cannot be read.
    """
    if name not in MODULES:
        raise OptionError(f"there is no experiment {name!r}; name one of {', '.join(MODULES)}.")
    module = import_module(f"{__name__}.{MODULES[name]}")
    run: Callable[..., dict[str, Any]] = module.run
    plan = module.QUICK if quick else module.FULL
    options = options or {}
    for option in options:
        if option not in signature(run).parameters:
            raise OptionError(f"the experiment {name} has no --{option}; leave it out.")
    return run(Path(out), plan=plan, data_dir=data_dir, reporter=reporter, **options)
