"""What is meant to be used from outside this package."""

from .app import main as main
from .run_report import print_report as print_report
from .run_report import print_results as print_results
