"""What is meant to be used from outside this package."""

from .collections_commands import collections as collections
