"""What is meant to be used from outside this package."""

from .archs4 import parse_archs4 as parse_archs4
from .archs4_search import search_archs4 as search_archs4
from .file import at_path as at_path
from .file import open_hdf5 as open_hdf5
from .file import refuse_foreign as refuse_foreign
from .frames import AnnotationTable as AnnotationTable
from .h5ad import describe_h5ad as describe_h5ad
from .h5ad import parse_h5ad as parse_h5ad
from .h5ad import read_h5ad as read_h5ad
from .h5ad import read_obs as read_obs
from .h5ad import read_obsm as read_obsm
from .tenx import parse_tenx_h5 as parse_tenx_h5
