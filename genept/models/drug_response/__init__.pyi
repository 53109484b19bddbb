"""What is meant to be used from outside this package."""

from .drug_training import PREFIX as PREFIX
from .drug_training import UNMEASURED as UNMEASURED
from .drug_training import DrugTraining as DrugTraining
from .drug_training import is_drug_model as is_drug_model
from .drug_training import predict_drugs as predict_drugs
from .drug_training import unmeasured_responses as unmeasured_responses
from .screens import evaluate_screens as evaluate_screens
