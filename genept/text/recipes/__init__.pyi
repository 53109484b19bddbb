"""What is meant to be used from outside this package."""

from .dimensions import Dimension as Dimension
from .dimensions import load_dimensions as load_dimensions
from .dimensions import speaking as speaking
from .masks import Mask as Mask
from .own_declarations import declared_entries as declared_entries
from .recipe_declarations import PARTS as PARTS
from .recipe_declarations import PROSE as PROSE
from .recipe_declarations import PartName as PartName
from .recipe_declarations import PartUse as PartUse
from .recipe_declarations import Recipe as Recipe
from .recipe_declarations import load_recipes as load_recipes
