"""What is meant to be used from outside this package."""

from .api import load_embeddings as load_embeddings
from .api import load_table as load_table
from .catalogue_page import publish_tables as publish_tables
from .catalogue_page import release_site as release_site
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
