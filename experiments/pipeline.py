"""The Python API: what the commands do, as functions that return what ``--json`` prints."""

from engine.config import SearchSettings
from engine.pool_options import PoolOptions
from experiments.comparison import compare_runs
from experiments.exporting import export_run
from experiments.importing import import_model
from experiments.measuring import DataOptions, evaluate_model, score_masks
from experiments.report import make_report
from experiments.search_options import Backend, SearchOptions
from experiments.search_run import resume_search, start_search
from experiments.status import read_status
from experiments.tensorboard_events import write_events
from experiments.training_run import NetworkOptions, train_model
from models.training import TrainingSettings

__all__ = [
    "Backend",
    "DataOptions",
    "NetworkOptions",
    "PoolOptions",
    "SearchOptions",
    "SearchSettings",
    "TrainingSettings",
    "compare_runs",
    "evaluate_model",
    "export_run",
    "import_model",
    "make_report",
    "read_status",
    "resume_search",
    "score_masks",
    "start_search",
    "train_model",
    "write_events",
]
