"""What is meant to be used from outside this package."""

from .composition import Composed as Composed
from .composition import Lengths as Lengths
from .composition import PartOfText as PartOfText
from .composition import compose as compose
from .composition import join_after as join_after
from .composition import masked as masked
from .composition import text_sha256 as text_sha256
from .gene_descriptions import describe_genes as describe_genes
from .gene_descriptions import gene_parts as gene_parts
from .knowledge import KnowledgeSources as KnowledgeSources
from .limits import ESTIMATED as ESTIMATED
from .limits import WORDPIECE as WORDPIECE
from .limits import WORDS as WORDS
from .limits import TokenCounter as TokenCounter
from .limits import counted_by as counted_by
from .limits import counting as counting
from .recipes import PartName as PartName
from .recipes import Recipe as Recipe
from .recipes import declared_entries as declared_entries
from .recipes import load_recipes as load_recipes
