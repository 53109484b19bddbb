"""What is meant to be used from outside this package."""

from .diagnosis_tasks import DiagnosisTask as DiagnosisTask
from .diagnosis_tasks import load_tasks as load_tasks
from .diagnosis_tasks import tasks_of as tasks_of
from .diagnosis_training import DiagnosisTraining as DiagnosisTraining
from .heads import PROBE_TOLERANCE as PROBE_TOLERANCE
from .heads import STEPS as STEPS
from .heads import Contender as Contender
from .heads import DiagnosisModel as DiagnosisModel
from .heads import probe_bytes as probe_bytes
from .heads import probe_difference as probe_difference
from .retraining import N_PROBES as N_PROBES
from .retraining import model_files as model_files
from .retraining import predictions_of as predictions_of
