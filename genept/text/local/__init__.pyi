"""What is meant to be used from outside this package."""

from .baselines import LSA as LSA
from .baselines import MIN_DOCUMENTS as MIN_DOCUMENTS
from .baselines import SEED as SEED
from .baselines import SMALLEST_NORM as SMALLEST_NORM
from .baselines import RandomVectors as RandomVectors
from .baselines import TooFewTextsError as TooFewTextsError
from .baselines import shuffled as shuffled
from .bert import BertEmbedder as BertEmbedder
from .folder_settings import describe_folder as describe_folder
from .language_model import missing_extra as missing_extra
from .local_models import LANGUAGE_MODEL as LANGUAGE_MODEL
from .local_models import MODEL_ID as MODEL_ID
from .local_models import LocalModel as LocalModel
from .local_models import load_local_models as load_local_models
from .local_models import local_model as local_model
from .model_files import PublishedFiles as PublishedFiles
from .model_files import files_of as files_of
from .model_files import missing_files as missing_files
from .model_files import unpacked_weights as unpacked_weights
from .opening import open_local_model as open_local_model
from .plugin_embedders import PluginEmbedder as PluginEmbedder
from .plugin_embedders import Resources as Resources
from .plugin_embedders import open_plugin as open_plugin
