"""What is meant to be used from outside this package."""

from .batch_api import PendingBatchesError as PendingBatchesError
from .batch_jobs import jobs_of as jobs_of
from .batch_jobs import require_collected as require_collected
from .batch_jobs import unfinished_batches as unfinished_batches
from .budget import Budget as Budget
from .hosted_models import HostedModel as HostedModel
from .hosted_models import SpendingLimit as SpendingLimit
from .ledger import all_payments as all_payments
from .ledger import record_ledger as record_ledger
from .openai import HostedEmbedders as HostedEmbedders
from .openai import OpenAIEmbedder as OpenAIEmbedder
from .service import OpenAIService as OpenAIService
from .service import RequestCount as RequestCount
from .service import RequestPolicy as RequestPolicy
from .service import stated_usage as stated_usage
from .spending import Spending as Spending
