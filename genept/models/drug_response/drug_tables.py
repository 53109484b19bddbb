"""Tables `drugs` and `drug_targets`: every drug of the screens or of a list, and its target genes.

The publisher's list, where it is available, comes before our own table of facts. What a target
means is `genept.nomenclature`. How responses to a drug are predicted from its targets is not here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import polars as pl

from genept.datasources import (
    COMPOUNDS_SOURCE,
    Compound,
    compounds_file,
    facts_bytes,
    read_compounds,
    read_drug_facts,
)
from genept.datasources.download import Archives
from genept.models.drug_response.drug_identities import DrugIdentities
from genept.models.drug_response.predictors import has_rdkit
from genept.nomenclature import (
    Nomenclature,
    TargetMeaning,
    declared_targets,
    key_of,
    map_targets,
    split_targets,
)
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part, sha256_of

DRUGS: Final = ("drugs", "drug_targets")
"""The tables that are built here."""

FACTS: Final = "drug_targets.csv"
"""What column ``source`` calls our own table."""

_CODE: Final = (
    "genept.datasources.compounds",
    "genept.models.drug_response.drug_identities",
    "genept.models.drug_response.drug_tables",
    "genept.nomenclature",
    "genept.schema.tables",
)


@dataclass(frozen=True)
class DrugScreen:
    """Drugs of one screen.

    Parameters
    ----------
    collection
        Id of the collection.
    redistributable
        Whether its data, structures included, may be passed on.
    responses
        Its part of table `drug_responses`.
    structures
        SMILES by name of the drug.
    """

    collection: str
    redistributable: bool
    responses: Part
    structures: Mapping[str, str]


def build_drugs(
    lake: Lake,
    archives: Archives,
    genes: Part,
    nomenclature: Callable[[], Nomenclature],
    screens: Sequence[DrugScreen],
) -> list[Part]:
    """Build tables `drugs` and `drug_targets`.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    archives
        Finds the publisher's list.
    genes
        Table `genes`.
    nomenclature
        Opens what maps names; called only if there is something new to map.
    screens
        The screens whose drugs are listed.

    Returns
    -------
    list of Part
        Of each table one part with what may be passed on, and one with what may not.

    Raises
    ------
    SourceError
        A list is not what it should be; names the file and the line.
    """
    file = compounds_file(archives)
    inputs = {f"responses of {each.collection}": each.responses.sha256 for each in screens}
    inputs |= {"genes": genes.sha256, FACTS: sha256_of(facts_bytes().decode())}
    inputs |= {"target groups": sha256_of(declared_targets().model_dump(mode="json"))}
    inputs |= {file.id: file.sha256} if file else {}
    structures = {
        each.collection: sha256_of(dict(each.structures), each.redistributable) for each in screens
    }

    @cache
    def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
        published = list(read_compounds(file.opener, file.path.name)) if file else []
        source = archives.catalogue.sources.get(COMPOUNDS_SOURCE)
        passed_on = source is not None and source.redistributable
        drugs = list(_drugs(lake, screens, published, passed_on))
        meanings = map_targets(
            (token for drug in drugs for token in split_targets(drug["targets_stated"] or "")),
            nomenclature(),
        )
        return _drug_rows(drugs, meanings), _target_rows(drugs, meanings)

    parts: list[Part] = []
    for number, passed_on in enumerate((True, False)):
        settings = {
            "redistributable": passed_on,
            "source": file.id if file and not passed_on else None,
            "structures": structures,
        }
        origin = Origin(_CODE, inputs, settings, ("rdkit",) if has_rdkit() else ())

        def compute(number: int = number, passed_on: bool = passed_on) -> list[NewPart]:
            drugs, targets = tables()
            kept = drugs.filter(redistributable=passed_on)
            own = targets.join(kept.select("drug_id"), "drug_id", "semi")
            return [
                NewPart(name, rows, number=number)
                for name, rows in zip(DRUGS, (kept, own), strict=True)
                if rows.height
            ]

        parts += lake.build(f"drugs/{'open' if passed_on else 'restricted'}", origin, compute)
    return parts


def _drugs(
    lake: Lake, screens: Sequence[DrugScreen], published: list[Compound], passed_on: bool
) -> Iterator[dict[str, Any]]:
    """What is stated of each drug: those of the screens first, by name, then those of the lists."""
    screened: dict[str, list[DrugScreen]] = {}
    for screen in screens:
        for name in lake.read(screen.responses, ["drug_id"])["drug_id"].unique().sort():
            screened.setdefault(name, []).append(screen)
    same = DrugIdentities()
    for name in screened:
        same.names(key_of(name))
    lists = [published, read_drug_facts()]
    for compounds in lists:
        same.learn(compounds)
    by_drug: dict[str, tuple[list[Compound], list[Compound]]] = {}
    for at, compounds in enumerate(lists):
        for compound in compounds:
            by_drug.setdefault(same.of(key_of(compound.name)), ([], []))[at].append(compound)
    names_of: dict[str, list[str]] = {}
    for name in sorted(screened):
        names_of.setdefault(same.of(key_of(name)), []).append(name)
    for identity in dict.fromkeys((*names_of, *by_drug)):
        listed, facts = by_drug.get(identity, ([], []))
        stated = next((each for each in (listed, facts) if _tokens(each)), [])
        first = next(iter((*listed, *facts)), None)
        names = names_of.get(identity) or [first.name if first else identity]
        every = dict.fromkeys(
            (*names, *(name for each in (*listed, *facts) for name in (each.name, *each.synonyms)))
        )
        for name in names:
            of = screened.get(name, [])
            drawn = _structure(name, every, screens)
            yield {
                "drug_id": name,
                "compound": first.name if first else None,
                "synonyms": [other for other in every if other != name],
                "smiles": drawn[0] if drawn else None,
                "targets_stated": ", ".join(_tokens(stated)) or None,
                "pathway": next((each.pathway for each in listed if each.pathway), None),
                "source": _source(stated, listed),
                "redistributable": (passed_on or not listed)
                and all(each.redistributable for each in (*of, *([drawn[1]] if drawn else []))),
                "screens": [each.collection for each in of],
            }


def _tokens(compounds: Iterable[Compound]) -> list[str]:
    """The different tokens of the targets that are stated of a drug, in order."""
    texts = (compound.targets for compound in compounds)
    return list(dict.fromkeys(token for text in texts for token in split_targets(text)))


def _source(stated: Sequence[Compound], listed: Sequence[Compound]) -> str | None:
    if not stated:
        return COMPOUNDS_SOURCE if listed else None
    return f"{FACTS}: {stated[0].source}" if stated[0].source else COMPOUNDS_SOURCE


def _structure(
    name: str, synonyms: Iterable[str], screens: Sequence[DrugScreen]
) -> tuple[str, DrugScreen] | None:
    """Structure of a drug and the screen that has it: by its name, or else by a synonym."""
    for candidate in (name, *synonyms):
        for screen in screens:
            if smiles := screen.structures.get(candidate):
                return smiles, screen
    return None


def _drug_rows(
    drugs: Sequence[dict[str, Any]], meanings: Mapping[str, TargetMeaning]
) -> pl.DataFrame:
    """Rows of table `drugs`."""
    rows = [
        drug
        | {
            "inchikey": _inchikey(drug["smiles"]),
            "n_targets": len({id_ for _, _, id_ in _genes(drug, meanings) if id_}),
        }
        for drug in drugs
    ]
    return _frame("drugs", rows)


def _target_rows(
    drugs: Sequence[dict[str, Any]], meanings: Mapping[str, TargetMeaning]
) -> pl.DataFrame:
    """Rows of table `drug_targets`: a drug, a token and a gene each; or the token alone."""
    rows = [
        {
            "drug_id": drug["drug_id"],
            "token": of.token,
            "member": symbol,
            "outcome": of.outcome,
            "group": of.group,
            "ensembl_gene_id": id_,
            "evidence": of.evidence,
            "source": drug["source"],
        }
        for drug in drugs
        for of, symbol, id_ in _genes(drug, meanings)
    ]
    return _frame("drug_targets", rows)


def _genes(
    drug: Mapping[str, Any], meanings: Mapping[str, TargetMeaning]
) -> Iterator[tuple[TargetMeaning, str, str | None]]:
    """Meaning, symbol and gene of each target; the token in place of a symbol without a gene."""
    for token in split_targets(drug["targets_stated"] or ""):
        of = meanings[token]
        yield from ((of, symbol, id_) for symbol, id_ in of.members or ((token, None),))


def _frame(name: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    table = TABLES[name]
    columns = {column.name: [row[column.name] for row in rows] for column in table.columns}
    schema = pl.DataFrame(pl.from_arrow(table.schema().empty_table())).schema
    return pl.DataFrame(columns, schema=schema).sort(table.key)


def _inchikey(smiles: str | None) -> str | None:
    """InChIKey of a structure; None without the extra ``chemistry``, or if it cannot be read."""
    if smiles is None or not has_rdkit():
        return None
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined,unused-ignore]
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    key: str = Chem.MolToInchiKey(molecule)  # type: ignore[no-untyped-call,unused-ignore]
    return key or None
