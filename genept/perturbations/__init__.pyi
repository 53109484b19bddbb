"""What is meant to be used from outside this package."""

from .screen_tables import build_screens as build_screens
from .screen_tables import how_to_get as how_to_get
