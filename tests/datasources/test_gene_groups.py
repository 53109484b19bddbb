"""HGNC's gene groups: what is read of the complete set, and what is refused."""

import io
from contextlib import nullcontext
from pathlib import Path

import pytest

from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.gene_groups import gene_group_file, read_gene_groups
from genept.datasources.screen_files import screen_sources

MIRROR = Path(__file__).resolve().parents[3] / "shared" / "mirror"
HEAD = "hgnc_id\tsymbol\tstatus\tensembl_gene_id\tgene_group\tgene_group_id"


def read(*lines: str) -> list[tuple[str, str | None, str]]:
    body = "".join(f"{line}\n" for line in lines).encode()
    return read_gene_groups(lambda: nullcontext(io.BytesIO(body)), "hgnc.txt").rows()


def archives(tmp_path: Path, folder: Path) -> Archives:
    return Archives(load_catalogue(), tmp_path, locations=SourceLocations((str(folder),)))


def test_every_group_of_an_approved_gene_is_a_row() -> None:
    assert read(
        HEAD,
        'HGNC:1\tAAMP\tApproved\tENSG1\t"WD repeat domain containing|Nucleoporins"\t"362|1051"',
        "HGNC:2\tA1BG\tApproved\tENSG2\tImmunoglobulin like\t594",
        "HGNC:3\tGONE\tEntry Withdrawn\t\tImmunoglobulin like\t594",
        "HGNC:4\tALONE\tApproved\tENSG4\t\t",
        "HGNC:5\tNOID\tApproved\t\tNucleoporins\t1051",
    ) == [
        ("AAMP", "ENSG1", "WD repeat domain containing"),
        ("AAMP", "ENSG1", "Nucleoporins"),
        ("A1BG", "ENSG2", "Immunoglobulin like"),
        ("NOID", None, "Nucleoporins"),
    ]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["symbol\tstatus\tensembl_gene_id", "A\tApproved\tE"], "has no column 'gene_group'"),
        ([HEAD, "HGNC:4\tALONE\tApproved\tENSG4\t\t"], "puts no gene into a group"),
        ([""], "hgnc.txt"),
        ([HEAD, "HGNC:4\tA\tApproved\tE\tG\t1\tone too many"], "hgnc.txt"),
    ],
)
def test_another_file_is_refused(lines: list[str], reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read(*lines)


def test_groups_are_a_source_where_a_screen_needs_them(tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    (folder / "hgnc").mkdir(parents=True)
    (folder / "hgnc" / "hgnc_complete_set.txt").write_text(f"{HEAD}\n")
    available = archives(tmp_path / "a", folder)
    assert gene_group_file(available).id == "hgnc-complete-set"
    assert screen_sources(available) == []
    (folder / "perturbqa").mkdir()
    (folder / "perturbqa" / "k562-de.csv.gz").write_text("pert,gene,label,split\nA,B,1,train\n")
    available = archives(tmp_path / "b", folder)
    assert screen_sources(available) == ["perturbqa:k562-de", "hgnc-complete-set"]


def test_without_the_complete_set_there_are_no_groups(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    assert gene_group_file(archives(tmp_path / "copies", tmp_path / "mirror")) is None


@pytest.mark.skipif(not (MIRROR / "hgnc").is_dir(), reason="needs the mirror's HGNC")
def test_the_real_groups_of_the_mirror(tmp_path: Path) -> None:
    file = gene_group_file(archives(tmp_path, MIRROR))
    rows = read_gene_groups(file.opener, file.path.name)
    assert file.release == "hgnc-complete-set-2024-10-18-2024-10-18"
    assert rows["gene_group"].n_unique() == 1673
    assert rows.filter(gene_group="Zinc fingers C2H2-type").height == 779
