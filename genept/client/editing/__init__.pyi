"""What is meant to be used from outside this package."""

from .description_editing import edit_on as edit_on
from .description_editing import next_name as next_name
from .description_editing import register_edited as register_edited
from .edit_inputs import REWARDED as REWARDED
from .edit_inputs import EditForecast as EditForecast
from .edit_inputs import edit_inputs as edit_inputs
from .edit_inputs import forecast_edit as forecast_edit
from .edit_records import EditReport as EditReport
from .edit_records import edit_parts as edit_parts
from .edit_records import keep_edits as keep_edits
