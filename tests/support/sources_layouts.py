"""Builders of small archives and catalogue entries, in the exact layouts of the real ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from genept.schema.tables import merge_policy


def zipped(members: Mapping[str, bytes | str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def source_entry(name: str, data: bytes, *, suffix: str = "", **changes: Any) -> dict[str, Any]:
    is_wheel = not suffix
    return {
        "title": name,
        "publisher": "the tests",
        "package": name,
        "version": "1.0",
        "filename": f"{name}-1.0-py3-none-any.whl" if is_wheel else f"{name}-1.0{suffix}",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "CC0-1.0",
        "redistributable": True,
        "citation": "none",
        "released": "2026-01-01",
    } | changes


def collection_entry(format_: str, unit: str, *sources: str, **options: Any) -> dict[str, Any]:
    return {
        "title": "test",
        "kind": "bulk",
        "format": format_,
        "sources": list(sources),
        "unit": unit,
        "duplicate_policy": merge_policy(unit),
        "group_axis": "patient",
        "redistributable": True,
        "licence": "CC0-1.0",
        "citation": "none",
        "options": options,
    }


RECTANGLE = {
    "counts": "data/cells.zip",
    "annotations": "data/labels.zip",
    "tissue": "blood",
}
GDSC = {
    "expression": "Data/EXP.pkl",
    "genes": "Data/genes.txt",
    "responses": "Data/IC50.csv",
    "annotations": "data/cosmic.csv.gz",
}
OMICSBENCH = {
    "study": "rnaseq/study-1",
    "tissue": "prostate",
    "diagnoses": {"tumor tissue": "tumor", "adjacent": "normal"},
}
BRCA = {
    "cohort": "brca",
    "tissue": "breast",
    "label_file": "target.csv",
    "label_column": "target",
    "labels": {"0": "LumA", "1": "Her2"},
}


class Call:
    """Pickled as a call of any importable name, which need not exist here."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.target, self.args = (module, name), args


class _Pickler(pickle._Pickler):
    """Writes `Call`s as the opcodes that real files hold: STACK_GLOBAL, args, REDUCE."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Call):
            for text in obj.target:
                super().save(text)
            self.write(pickle.STACK_GLOBAL)
            super().save(obj.args)
            self.write(pickle.REDUCE)
        elif isinstance(obj, OrderedDict):
            self.save(Call("collections", "OrderedDict"))
        else:
            super().save(obj, save_persistent_id)


def pickled(value: Any) -> bytes:
    packed = io.BytesIO()
    _Pickler(packed, protocol=4).dump(value)
    return packed.getvalue()


def torch_storage(
    values: np.ndarray,
    *,
    kind: str = "FloatStorage",
    count: int | None = None,
    size: int | None = None,
) -> bytes:
    """A storage in torch's legacy format; `count` and `size` may be wrong on purpose."""
    declared = len(values) if size is None else size
    record = (
        b"\x80\x02(X\x07\x00\x00\x00storageq\x00ctorch\n"
        + kind.encode()
        + b"\nq\x01X\x01\x00\x00\x007q\x02X\x03\x00\x00\x00cpuq\x03J"
        + struct.pack("<i", declared)
        + b"Ntq\x04Q."
    )
    headers = (
        0x1950A86A20F9469CFC6C,
        1001,
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4}},
    )
    return (
        b"".join(pickle.dumps(header, protocol=2) for header in headers)
        + record
        + b"\x80\x02]q\x00X\x01\x00\x00\x007q\x01a."
        + struct.pack("<q", len(values) if count is None else count)
        + values.astype("<f4").tobytes()
    )


def torch_tensor(storage: bytes, n: int) -> Call:
    loaded = Call("torch.storage", "_load_from_bytes", storage)
    layout = (0, (n,), (1,), False, OrderedDict())
    return Call("torch._utils", "_rebuild_tensor_v2", loaded, *layout)


def torch_pickle(rows: Mapping[str, list[float]]) -> bytes:
    return pickled(
        {
            name: torch_tensor(torch_storage(np.array(row, np.float32)), len(row))
            for name, row in rows.items()
        }
    )


def rectangle_wheel(
    counts: str = ",L1_AA,E2L4_CC\nCD3E,5.0,0.0\nAL627309.1,0.0,2.0\n",
    labels: str = ",0\nE2L4_CC,B cells\nL1_AA,T cells CD8\n",
) -> bytes:
    return zipped(
        {
            "x/data/cells.zip": zipped({"cells": counts}),
            "x/data/labels.zip": zipped({"labels": labels}),
        }
    )


GDSC_EXPRESSION = {
    "NCIH460": [1.0, -1.0, 0.5, -1.0],
    "TT": [0.25, -1.25, 2.0, -1.25],
    "LONELY": [0.75, -0.5, 1.5, -0.50001],
}
GDSC_RESPONSES = (
    "CELL_LINE_NAME,DRUG_NAME,LN_IC50\r\n"
    "NCI-H460,Trametinib,1.0\r\n"
    "NCI-H460,Trametinib ,2.0\r\n"
    "NCI-H460,123138,-3.5\r\n"
    "NCI-H460,Erlotinib,\r\n"
    "TT,Trametinib,0.5\r\n"
    "T-T,Trametinib,0.7\r\n"
    "SNU-16,Trametinib,0.1\r\n"
    "SNU-16,Erlotinib,0.2\r\n"
)
GDSC_ANNOTATION = (
    "SAMPLE_NAME,COSMIC_ID,GDSC1,GDSC2\n"
    "NCI H460,1,lung_NSCLC,lung_NSCLC_large cell\n"
    "TT,2,thyroid,thyroid\n"
    "T-T,3,aero_dig_tract,oesophagus\n"
    "HT-29,4,large_intestine,large_intestine\n"
)


def gdsc_data(
    expression: bytes | None = None, responses: str = GDSC_RESPONSES
) -> tuple[bytes, tuple[bytes, str]]:
    """The wheel with expression and responses, and the source archive with the annotation."""
    wheel = zipped(
        {
            "x/Data/EXP.pkl": torch_pickle(GDSC_EXPRESSION) if expression is None else expression,
            "x/Data/genes.txt": "EGFR\nH19\nKRAS\nSPN\n",
            "x/Data/IC50.csv": responses,
        }
    )
    annotation = gzip.compress(GDSC_ANNOTATION.encode())
    return wheel, (tarred({"y-1.0/y/data/cosmic.csv.gz": annotation}), ".tar.gz")


SWISSPROT = """\
ID   P53_HUMAN               Reviewed;         393 AA.
AC   P04637; Q15086;
DT   13-AUG-1987, integrated into UniProtKB/Swiss-Prot.
DE   RecName: Full=Cellular tumor antigen p53;
OX   NCBI_TaxID=9606 {ECO:0000312|Proteomes:UP000005640};
CC   -!- FUNCTION: Multifunctional transcription factor that induces cell cycle
CC       arrest (PubMed:11025664, PubMed:12524540). Acts as a tumor-
CC       suppressor in many tumor types. {ECO:0000269|PubMed:11025664,
CC       ECO:0000269|PubMed:12524540}.
CC   -!- SUBUNIT: Forms homodimers and homotetramers.
CC   -!- SUBCELLULAR LOCATION: Cytoplasm {ECO:0000269|PubMed:15340061}. Nucleus
CC       {ECO:0000269|PubMed:15340061}. Note=Interaction with BANP promotes
CC       nuclear localization {ECO:0000269|PubMed:15340061}
CC   -!- DISEASE: Li-Fraumeni syndrome (LFS) [MIM:151623]: An autosomal dominant
CC       familial cancer syndrome. {ECO:0000269|PubMed:1565144}. Note=The
CC       disease is caused by variants affecting the gene
CC   ---------------------------------------------------------------------------
CC   Copyrighted by the UniProt Consortium, see https://www.uniprot.org/terms
CC   ---------------------------------------------------------------------------
DR   EMBL; X02469; CAA26306.1; -; mRNA.
SQ   SEQUENCE   393 AA;  43653 MW;  AD5C149FD8106131 CRC64;
     MEEPQSDPSV EPPLSQETFS DLWKLLPENN VLSPLPSQAM
//
ID   P53_MOUSE               Reviewed;         390 AA.
AC   P02340;
OX   NCBI_TaxID=10090;
CC   -!- FUNCTION: Of the mouse.
//
"""

GAF = (
    "!gaf-version: 2.2\n!date-generated: 2024-06-10T08:11\n!\n"
    "UniProtKB\tP04637\tTP53\tenables\tGO:0003677\tPMID:1\tIDA\t\tF\tp53\tTP53|P53\tprotein\t"
    "taxon:9606\t20200101\tUniProt\t\t\n"
    "UniProtKB\tP04637\tTP53\tNOT|enables\tGO:0000001\tPMID:1\tIMP\t\tF\tp53\tP53\tprotein\t"
    "taxon:9606\t20200101\tUniProt\t\t\n"
    "ComplexPortal\tCPX-1\tx\tpart_of\tGO:0003677\tPMID:1\tIDA\t\tC\tx\tx\tcomplex\t"
    "taxon:9606\t20200101\tUniProt\t\t\n"
)
