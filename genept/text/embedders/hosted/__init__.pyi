"""What is meant to be used from outside this package."""

from .answers import packed_jobs as packed_jobs
from .budget import Budget as Budget
from .budget import HostedEmbedders as HostedEmbedders
from .declared import SpendingLimit as SpendingLimit
from .ledger import MILLION as MILLION
from .ledger import PAYMENTS as PAYMENTS
from .ledger import Payment as Payment
from .ledger import payments_as_json as payments_as_json
from .ledger import payments_in as payments_in
from .ledger import record_ledger as record_ledger
