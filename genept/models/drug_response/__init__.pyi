"""What is meant to be used from outside this package."""

from .drug_serving import UNMEASURED as UNMEASURED
from .drug_serving import predict_drugs as predict_drugs
from .drug_serving import unmeasured_responses as unmeasured_responses
from .drug_training import PREFIX as PREFIX
from .drug_training import DrugTraining as DrugTraining
from .drug_training import is_drug_model as is_drug_model
from .screens import Screen as Screen
