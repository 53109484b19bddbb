"""What is meant to be used from outside this package."""

from .gene_evidence import GeneEvidence as GeneEvidence
from .gene_evidence import evidence_of as evidence_of
from .statement_tables import StatementTables as StatementTables
from .statements import Fate as Fate
from .statements import statements_of as statements_of
from .statements import support as support
from .writing import prompt_for as prompt_for
from .writing import statement_chat as statement_chat
from .writing import write_statements as write_statements
