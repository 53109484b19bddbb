"""What is meant to be used from outside this package."""

from .expression_tables import parse_depmap as parse_depmap
from .expression_tables import parse_gct as parse_gct
from .expression_tables import parse_table as parse_table
from .expression_tables import parse_xena as parse_xena
from .expression_tables import read_genes_in_rows as read_genes_in_rows
from .lines import Lines as Lines
from .lines import decoded as decoded
from .lines import fields_of as fields_of
from .lines import open_lines as open_lines
from .lines import read_header as read_header
from .matrix import Head as Head
from .matrix import read_matrix as read_matrix
from .matrix import read_table as read_table
from .matrix import table_head as table_head
from .numbers import MISSING as MISSING
from .numbers import NUMBER as NUMBER
from .numbers import Chunk as Chunk
from .numbers import Layout as Layout
