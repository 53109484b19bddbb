"""What is meant to be used from outside this package."""

from .comparison_page import COMPARISON as COMPARISON
from .comparison_page import render_comparison as render_comparison
from .games_page import GAMES as GAMES
from .games_page import games_pages as games_pages
from .games_page import render_games as render_games
from .site_pages import described as described
from .site_pages import release_site as release_site
