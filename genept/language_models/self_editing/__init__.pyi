"""What is meant to be used from outside this package."""

from .drafts import Drafts as Drafts
from .drafts import Library as Library
from .drafts import changed as changed
from .drafts import class_of as class_of
from .edit_gate import GateFinding as GateFinding
from .edit_gate import findings as findings
from .edit_gate import new_words as new_words
from .edit_policy import EditPolicy as EditPolicy
from .edit_policy import LearnedPolicy as LearnedPolicy
from .edit_policy import ModelPolicy as ModelPolicy
from .edit_policy import Proposal as Proposal
from .edit_results import Edited as Edited
from .edit_results import EditOptions as EditOptions
from .edit_results import Tried as Tried
from .edit_tables import EditTables as EditTables
from .edit_tables import ForgettingTables as ForgettingTables
from .editing import edit_descriptions as edit_descriptions
from .edits import Edit as Edit
from .edits import every_edit as every_edit
