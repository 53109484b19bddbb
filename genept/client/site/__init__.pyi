"""What is meant to be used from outside this package."""

from .catalogue_page import release_site as release_site
