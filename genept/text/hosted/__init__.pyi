"""What is meant to be used from outside this package."""

from .batch_api import PendingBatchesError as PendingBatchesError
from .batch_jobs import jobs_of as jobs_of
from .batch_jobs import require_collected as require_collected
from .batch_jobs import unfinished_batches as unfinished_batches
from .budget import Budget as Budget
from .budget import all_payments as all_payments
from .budget import record_ledger as record_ledger
from .hosted_models import HostedModel as HostedModel
from .hosted_models import SpendingLimit as SpendingLimit
from .openai import HostedEmbedders as HostedEmbedders
from .openai import OpenAIEmbedder as OpenAIEmbedder
