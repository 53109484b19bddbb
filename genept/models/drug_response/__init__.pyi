"""What is meant to be used from outside this package."""

from .drug_tables import DRUGS as DRUGS
from .drug_tables import DrugScreen as DrugScreen
from .drug_tables import build_drugs as build_drugs
from .drug_training import PREFIX as PREFIX
from .drug_training import UNMEASURED as UNMEASURED
from .drug_training import DrugTraining as DrugTraining
from .drug_training import is_drug_model as is_drug_model
from .drug_training import predict_drugs as predict_drugs
from .drug_training import unmeasured_responses as unmeasured_responses
from .predictors import IDENTITY as IDENTITY
from .predictors import PENALTIES as PENALTIES
from .predictors import Floats as Floats
from .predictors import Matrix as Matrix
from .predictors import ResponsePairs as ResponsePairs
from .predictors import drug_features as drug_features
from .predictors import has_rdkit as has_rdkit
from .regimes import principal_components as principal_components
from .screen_rows import ScreenRows as ScreenRows
from .screens import Screen as Screen
from .screens import evaluate_screens as evaluate_screens
