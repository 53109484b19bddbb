"""What is meant to be used from outside this package."""

from .file import as_dataset as as_dataset
from .file import as_group as as_group
from .file import at_path as at_path
from .file import open_hdf5 as open_hdf5
from .file import refuse_foreign as refuse_foreign
from .frames import AnnotationTable as AnnotationTable
from .frames import as_text as as_text
from .h5ad import describe_h5ad as describe_h5ad
from .h5ad import parse_h5ad as parse_h5ad
from .h5ad import read_obsm as read_obsm
from .rows import DENSE_CAP as DENSE_CAP
from .rows import EXPRESSION as EXPRESSION
from .rows import SampleColumns as SampleColumns
from .tenx import parse_tenx_h5 as parse_tenx_h5
