"""What is meant to be used from outside this package."""

from .promotion import agreement as agreement
from .promotion import begin_shadow as begin_shadow
from .promotion import challenger as challenger
from .promotion import judge_candidate as judge_candidate
from .promotion import promote_challenger as promote_challenger
from .promotion import promote_if_due as promote_if_due
from .promotion_gate import MAX_DROP as MAX_DROP
