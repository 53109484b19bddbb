"""What is meant to be used from outside this package."""

from .archives import Archives as Archives
from .compression import MAX_RATIO as MAX_RATIO
from .compression import Opener as Opener
from .compression import open_gzip as open_gzip
from .compression import text_lines as text_lines
from .members import is_tar as is_tar
from .members import refuse_large_zip as refuse_large_zip
from .members import zip_names as zip_names
from .mirrors import SourceLocations as SourceLocations
from .mirrors import mirror_path as mirror_path
from .streams import AvailableFile as AvailableFile
from .streams import available_files as available_files
from .streams import member_names as member_names
from .streams import open_bytes as open_bytes
from .streams import open_text as open_text
