"""What is meant to be used from outside this package."""

from .archives import Archives as Archives
from .available import AvailableFile as AvailableFile
from .available import available_files as available_files
from .members import MAX_RATIO as MAX_RATIO
from .members import refuse_large_zip as refuse_large_zip
from .members import zip_names as zip_names
from .mirrors import SourceLocations as SourceLocations
from .mirrors import mirror_path as mirror_path
from .ranges import N_THREADS as N_THREADS
from .ranges import Ranged as Ranged
from .segments import RangedCopy as RangedCopy
from .segments import Segments as Segments
from .segments import Span as Span
from .streams import Opener as Opener
from .streams import is_tar as is_tar
from .streams import member_names as member_names
from .streams import open_bytes as open_bytes
from .streams import open_text as open_text
from .text_tables import table_rows as table_rows
from .text_tables import text_lines as text_lines
