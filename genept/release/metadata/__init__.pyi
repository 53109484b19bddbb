"""What is meant to be used from outside this package."""

from .citations import bibtex as bibtex
from .citations import citation_text as citation_text
from .folder_files import metadata_files as metadata_files
from .json_ld import in_script as in_script
from .json_ld import schema_org as schema_org
from .release_description import DescribedRelease as DescribedRelease
from .usage_terms import ReleaseTerms as ReleaseTerms
from .usage_terms import UsageTerms as UsageTerms
