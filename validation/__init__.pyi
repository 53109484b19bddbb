"""What is meant to be used from outside this package."""

from .checks import check_table as check_table
from .checks import doubled_targets as doubled_targets
from .checks import evidence_pages as evidence_pages
from .checks import expression_findings as expression_findings
from .checks import foreign_genes as foreign_genes
