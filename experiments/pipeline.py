"""The Python API: what the commands do, as functions that return what ``--json`` prints."""

from engine.config import SearchSettings
from engine.pool_options import PoolOptions
from experiments.baselines import BaselineOptions, compare_baselines
from experiments.comparison import compare_runs
from experiments.exporting import export_run
from experiments.fine_tuning import finetune_model
from experiments.importing import import_model
from experiments.measuring import DataOptions, evaluate_model
from experiments.presets import PRESETS
from experiments.prune_finetune import PruneFinetuneOptions
from experiments.prune_finetune_run import prune_finetune
from experiments.report import make_report
from experiments.scoring import score_masks
from experiments.search_options import Backend, SearchOptions
from experiments.search_run import resume_search, start_search
from experiments.speed.comparison import compare_speed
from experiments.status import read_status
from experiments.tensorboard_events import write_events
from experiments.training_run import NetworkOptions, train_model
from models.training_settings import TrainingSettings

__all__ = [
    "PRESETS",
    "Backend",
    "BaselineOptions",
    "DataOptions",
    "NetworkOptions",
    "PoolOptions",
    "PruneFinetuneOptions",
    "SearchOptions",
    "SearchSettings",
    "TrainingSettings",
    "compare_baselines",
    "compare_runs",
    "compare_speed",
    "evaluate_model",
    "export_run",
    "finetune_model",
    "import_model",
    "make_report",
    "prune_finetune",
    "read_status",
    "resume_search",
    "score_masks",
    "start_search",
    "train_model",
    "write_events",
]
