"""What is meant to be used from outside this package."""

from .public_copies import publish_public as publish_public
from .public_policy import anybody_reads as anybody_reads
from .public_policy import cited_address as cited_address
from .public_policy import let_anybody_read as let_anybody_read
from .public_policy import narrow as narrow
from .public_policy import public_product as public_product
from .public_policy import statements as statements
