"""The small installation, as a code server loads it from the folder that a test made."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(Path(__file__).parent)]

import dagster as dg
from small_installation import CATALOGUE, WIDTH, RecordingModel, SmallPlatform

from genept.common.settings import Settings
from genept.datasources.catalogue import Catalogue
from orchestration.definitions import build_defs

FOLDER = Path(os.environ["INSTALLATION_FOLDER"])
SETTINGS = Settings()
SHIPPED = Catalogue.model_validate_json((FOLDER / CATALOGUE).read_text())


def open_platform(options: Mapping[str, Any]) -> SmallPlatform:
    """The installation, once per run."""
    settings = SETTINGS.with_options(options)
    return SmallPlatform(settings, SHIPPED, RecordingModel(WIDTH, FOLDER / "embedded.txt"))


warnings.simplefilter("ignore", dg.BetaWarning)
defs = build_defs(SETTINGS, open_platform)
