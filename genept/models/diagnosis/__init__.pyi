"""What is meant to be used from outside this package."""

from .diagnosis_retraining import N_PROBES as N_PROBES
from .diagnosis_retraining import model_files as model_files
from .diagnosis_retraining import predictions_of as predictions_of
from .diagnosis_tasks import DiagnosisTask as DiagnosisTask
from .diagnosis_tasks import load_tasks as load_tasks
from .diagnosis_tasks import tasks_of as tasks_of
from .diagnosis_training import bulk_trainings as bulk_trainings
