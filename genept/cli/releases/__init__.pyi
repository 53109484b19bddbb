"""What is meant to be used from outside this package."""

from .release_commands import release as release
