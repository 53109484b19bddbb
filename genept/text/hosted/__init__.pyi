"""What is meant to be used from outside this package."""

from .batch_api import Job as Job
from .batch_api import PendingBatchesError as PendingBatchesError
from .batch_api import PendingTextsError as PendingTextsError
from .batch_jobs import BatchJobs as BatchJobs
from .budget import Budget as Budget
from .hosted_models import HostedModel as HostedModel
from .hosted_models import SpendingLimit as SpendingLimit
from .ledger import all_payments as all_payments
from .ledger import record_ledger as record_ledger
from .openai import HostedEmbedders as HostedEmbedders
from .openai import OpenAIEmbedder as OpenAIEmbedder
from .recorded_batches import addresses_under_way as addresses_under_way
from .recorded_batches import jobs_of as jobs_of
from .recorded_batches import require_collected as require_collected
from .recorded_batches import unfinished_batches as unfinished_batches
from .service import OpenAIService as OpenAIService
from .service import RequestCount as RequestCount
from .service import RequestPolicy as RequestPolicy
from .service import stated_usage as stated_usage
from .spending import Spending as Spending
