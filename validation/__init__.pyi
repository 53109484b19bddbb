"""What is meant to be used from outside this package."""

from .checks import check_table as check_table
from .checks import duplicate_targets as duplicate_targets
from .checks import evidence_pages as evidence_pages
from .checks import expression_findings as expression_findings
from .checks import unknown_genes as unknown_genes
from .checks import unlisted_drugs as unlisted_drugs
from .description_checks import undescribed_groups as undescribed_groups
from .label_checks import unmapped_labels as unmapped_labels
from .text_checks import unprobed_writers as unprobed_writers
