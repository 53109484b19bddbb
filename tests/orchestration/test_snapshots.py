"""Publishers' files as assets: their releases are kept with a mirror, and none is without one."""

import dagster as dg
import pytest
from gene_layouts import HGNC_HEADER, INFO_HEADER, gtf, hgnc, info, write

from assets.nomenclature import mirror_folders, snapshot_asset
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.datasources.reference_archives import PUBLISHER_FILES, find_releases
from orchestration.resources import resources_of

BY_ID = {file.id: file for file in PUBLISHER_FILES}


@pytest.fixture
def mirror(tmp_path):
    for folder in ("hgnc", "ncbi", "gencode"):
        (tmp_path / "mirror" / folder).mkdir(parents=True)
    folder = tmp_path / "mirror"
    write(folder / "hgnc/hgnc_complete_set_2024-10-18.txt.gz", HGNC_HEADER, hgnc(1, "A"))
    write(folder / "hgnc/hgnc_complete_set_2020-01-01.txt.gz", HGNC_HEADER, hgnc(1, "OLD"))
    write(folder / "ncbi/Homo_sapiens.gene_info.gz", INFO_HEADER, info(1, "A"))
    write(folder / "gencode/gencode.v49.annotation.gtf.gz", gtf("ENSG00000000001.2", "A"))
    return folder


def materialised(lake, file_id, folders):
    platform = Platform(Settings())
    platform.lake = lake  # a cached property, set before it is first read
    asset = snapshot_asset(BY_ID[file_id], lambda _: folders)
    result = dg.materialize([asset], resources=resources_of(platform))
    (event,) = result.get_asset_materialization_events()
    return {key: value.value for key, value in event.materialization.metadata.items()}


def test_release_and_date_are_shown(lake, mirror):
    hgnc_set = materialised(lake, "hgnc-complete-set", [mirror])
    assert (hgnc_set["release"], hgnc_set["released"]) == ("2024-10-18", "2024-10-18")
    assert hgnc_set["snapshots"] == "hgnc-complete-set-2020-01-01, hgnc-complete-set-2024-10-18"
    assert hgnc_set["dagster/row_count"] == 2
    gene_info = materialised(lake, "ncbi-gene-info", [mirror])
    assert gene_info["released"] == "2026-01-01", "the newest entry's, as the file states none"
    gencode = materialised(lake, "gencode", [mirror])
    assert (gencode["release"], gencode["released"]) == ("49", "not stated")


def test_without_a_mirror_nothing_is_read_and_the_run_continues(lake, mirror):
    for folders in ([], [mirror / "nowhere"]):
        for file in PUBLISHER_FILES:
            assert materialised(lake, file.id, folders)["configured"] is False
    assert mirror_folders(Platform(Settings())) == []


def test_a_release_is_taken_from_the_first_mirror_that_has_it(mirror, tmp_path):
    other = tmp_path / "other" / "hgnc"
    other.mkdir(parents=True)
    write(other / "hgnc_complete_set_2024-10-18.txt.gz", HGNC_HEADER, hgnc(1, "B"))
    file = BY_ID["hgnc-complete-set"]
    older, newer = find_releases(file, [other.parent, mirror])
    assert (older.release, newer.release) == ("2020-01-01", "2024-10-18")
    assert newer.path == other / "hgnc_complete_set_2024-10-18.txt.gz"
