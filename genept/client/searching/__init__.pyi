"""What is meant to be used from outside this package."""

from .profile_generation import PROFILE_FILES as PROFILE_FILES
from .profile_generation import TextProfile as TextProfile
from .profile_generation import generate_for_text as generate_for_text
from .released_collections import KIND_OF as KIND_OF
from .released_collections import collection_row as collection_row
from .released_expression import ReleasedExpression as ReleasedExpression
from .search import TABLE_OF as TABLE_OF
from .search import Among as Among
from .search import SearchHits as SearchHits
from .search import SpaceSearch as SpaceSearch
from .text_annotation import TextAnnotation as TextAnnotation
from .text_annotation import annotate_by_text as annotate_by_text
