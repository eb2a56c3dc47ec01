"""``import evoprune``: the public API by name. ``python -m evoprune``: the command.

A name is imported when it is first used, so that ``import evoprune`` does not wait for JAX.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "engine.cluster.options": ["PoolOptions"],
    "engine.errors": ["EvopruneError"],
    "engine.search.settings": ["SearchSettings"],
    "experiments.baselines.method_comparison": ["compare_baselines"],
    "experiments.baselines.options": ["BaselineOptions"],
    "experiments.benchmarks.speed.speed_comparison": ["compare_speed"],
    "experiments.data.options": ["DataOptions"],
    "experiments.measurement.description": ["describe_model"],
    "experiments.measurement.measuring": ["evaluate_model"],
    "experiments.progress": ["Reporter", "Terminal"],
    "experiments.report.run_comparison": ["compare_runs"],
    "experiments.report.run": ["make_report"],
    "experiments.report.tensorboard": ["write_events"],
    "experiments.runs.exporting.export": ["export_run"],
    "experiments.runs.options": ["Backend", "SearchOptions"],
    "experiments.runs.presets": ["PRESETS"],
    "experiments.runs.scoring": ["score_masks"],
    "experiments.runs.search": ["resume_search", "start_search"],
    "experiments.runs.watching.status": ["read_status"],
    "experiments.training.finetune": ["finetune_model"],
    "experiments.training.onnx_importing": ["ONNXImportOptions", "import_onnx_model"],
    "experiments.training.torch_importing": ["TorchImportOptions", "import_torch_model"],
    "experiments.training.network_options": ["NetworkOptions"],
    "experiments.training.prune_finetune": ["PruneFinetuneOptions"],
    "experiments.training.prune_finetune_run": ["prune_finetune"],
    "experiments.training.train": ["train_model"],
    "models.errors": ["NetworkError"],
    "models.training.settings": ["TrainingSettings"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import the module that has ``name``."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The names of the API."""
    return __all__


if __name__ == "__main__":
    from experiments.cli.entry import main

    main()
