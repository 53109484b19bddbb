"""Swiss-Prot's flat file, in its exact layout."""

from __future__ import annotations

import pytest
from sources_layouts import SWISSPROT

from genept.common.errors import SourceError
from genept.datasources.download.compression import file_opener
from genept.datasources.uniprot import read_swissprot


def read(folder, text):
    path = folder / "uniprot_sprot_human.dat"
    path.write_text(text)
    return read_swissprot(file_opener(path))


def test_what_a_protein_does_where_and_in_which_disease(tmp_path):
    found = read(tmp_path, SWISSPROT)
    assert found["uniprot_id"].unique().to_list() == ["P04637"]
    assert dict(found.select("topic", "text").iter_rows()) == {
        "function": "Multifunctional transcription factor that induces cell cycle arrest. "
        "Acts as a tumor-suppressor in many tumor types.",
        "location": "Cytoplasm. Nucleus. Note=Interaction with BANP promotes nuclear localization",
        "disease": "Li-Fraumeni syndrome (LFS): An autosomal dominant familial cancer syndrome. "
        "Note=The disease is caused by variants affecting the gene",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (">sp|P04637\nMEEP\n", "begins with '>sp|P04637'"),
        (SWISSPROT.removesuffix("//\n"), "is cut short: 'ID   P53_MOUSE"),
        (SWISSPROT.replace("AC   P04637; Q15086;\n", ""), "has no AC line"),
        (SWISSPROT.replace("9606", "10090"), "nothing about human"),
    ],
)
def test_what_is_no_flat_file_is_refused(tmp_path, text, reason):
    with pytest.raises(SourceError, match=reason):
        read(tmp_path, text)
