"""What is meant to be used from outside this package."""

from .base import Labels as Labels
from .base import Task as Task
from .base import constant as constant
from .cell_task import CENTRED as CENTRED
from .cell_task import CLUSTERS as CLUSTERS
from .cell_task import DECIDING as DECIDING
from .cell_task import MIXING as MIXING
from .cell_task import NEIGHBOURS as NEIGHBOURS
from .cell_task import WHOLE as WHOLE
from .cell_task import score_cells as score_cells
from .cell_task import too_few_cells as too_few_cells
from .cell_types import TASK as TASK
from .input_tables import TFIDF as TFIDF
from .input_tables import SpaceVectors as SpaceVectors
from .input_tables import TaskInputs as TaskInputs
from .input_tables import companions as companions
from .input_tables import entries as entries
from .input_tables import predict as predict
from .input_tables import task_inputs as task_inputs
from .program_task import program_activity as program_activity
from .program_task import space_programs as space_programs
from .task_registry import TASKS as TASKS
