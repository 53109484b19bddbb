"""What is meant to be used from outside this package."""

from .cards import LIMITS as LIMITS
from .diagnosis_tasks import DiagnosisTask as DiagnosisTask
from .diagnosis_tasks import load_tasks as load_tasks
from .diagnosis_tasks import tasks_of as tasks_of
from .diagnosis_training import bulk_trainings as bulk_trainings
from .evidence import ModelManifest as ModelManifest
from .promotion import agreement as agreement
from .promotion import begin_shadow as begin_shadow
from .promotion import challenger as challenger
from .registry import ModelRegistry as ModelRegistry
from .retraining_reports import judged_models as judged_models
from .retraining_reports import model_reports as model_reports
from .retraining_reports import release_pages as release_pages
from .serving import SERVED as SERVED
from .serving import SHADOW as SHADOW
from .serving import BulkCollection as BulkCollection
from .serving import Served as Served
from .serving import batch_inference as batch_inference
from .serving import diagnose as diagnose
from .training import SEED as SEED
from .training import train as train
from .user_samples import Features as Features
from .user_samples import OtherUnitError as OtherUnitError
from .user_samples import UserSamples as UserSamples
from .user_samples import read_user_samples_limited as read_user_samples_limited
