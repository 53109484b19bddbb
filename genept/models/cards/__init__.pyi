"""What is meant to be used from outside this package."""

from .card import LIMITS as LIMITS
from .card import Facts as Facts
from .reports import card_markdown as card_markdown
from .reports import model_reports as model_reports
from .reports import release_pages as release_pages
