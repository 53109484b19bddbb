"""What is meant to be used from outside this package."""

from .frozen_catalog import make_catalog as make_catalog
from .shared_catalog import refresh_catalog as refresh_catalog
from .shared_catalog import shared_catalog_key as shared_catalog_key
from .shared_catalog import version_of as version_of
