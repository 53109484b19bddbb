"""What is meant to be used from outside this package."""

from .store import EmbeddedStore as EmbeddedStore
