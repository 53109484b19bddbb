"""What is meant to be used from outside this package."""

from .api import load_embeddings as load_embeddings
from .api import load_table as load_table
from .benchmark_runs import Advance as Advance
from .benchmark_runs import ScoredSpaces as ScoredSpaces
from .benchmark_runs import SpaceForecast as SpaceForecast
from .benchmark_runs import forecast_spaces as forecast_spaces
from .benchmark_runs import results_of as results_of
from .benchmark_runs import score_spaces as score_spaces
from .benchmark_runs import spaces_to_compare as spaces_to_compare
from .catalogue_page import publish_tables as publish_tables
from .catalogue_page import release_site as release_site
from .comparison_page import COMPARISON as COMPARISON
from .comparison_page import render_comparison as render_comparison
from .input_versions import InputVersions as InputVersions
from .input_versions import read_input_versions as read_input_versions
from .installation import Installation as Installation
from .platform import Platform as Platform
from .release_lookup import LATEST as LATEST
from .release_lookup import Snippets as Snippets
from .release_lookup import open_releases as open_releases
from .release_lookup import resolve as resolve
from .search import TABLE_OF as TABLE_OF
from .search import Among as Among
from .search import SearchHits as SearchHits
from .search import SpaceSearch as SpaceSearch
