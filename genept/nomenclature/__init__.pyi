"""What is meant to be used from outside this package."""

from .mapping import MappingResult as MappingResult
from .mapping import Nomenclature as Nomenclature
from .mapping import mapping_pages as mapping_pages
from .publishers import reference_differences as reference_differences
from .reference import SOURCES as SOURCES
from .reference import Reference as Reference
from .reference import build_reference_table as build_reference_table
from .reference import kept_reference as kept_reference
from .reference import starter_reference as starter_reference
from .screening import DuplicatePolicy as DuplicatePolicy
from .screening import GeneNamesRefusedError as GeneNamesRefusedError
from .screening import NamePolicy as NamePolicy
from .screening import Screening as Screening
from .screening import refuse_low_coverage as refuse_low_coverage
from .screening import screen_names as screen_names
from .snapshots import build_snapshot as build_snapshot
from .snapshots import read_snapshot as read_snapshot
from .snapshots import touched_collections as touched_collections
from .target_groups import DeclaredTargets as DeclaredTargets
from .target_groups import declared_targets as declared_targets
from .target_groups import key_of as key_of
from .target_tokens import TARGET_OUTCOMES as TARGET_OUTCOMES
from .target_tokens import TargetMeaning as TargetMeaning
from .target_tokens import TargetOutcome as TargetOutcome
from .target_tokens import map_targets as map_targets
from .target_tokens import split_targets as split_targets
