"""`genept predict drugs FILE --new-drug …`: a drug that no screen measured, on samples of your own.

The predictor is in `genept.models.unscreened_drugs`; what it is worth is in docs/drugs.md.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from rich.markup import escape

from genept import models
from genept.client import Platform
from genept.common import StoreError, console, open_console, plain_table
from genept.datasources import Collection
from genept.embeddings import EXPRESSION, CollectionParts, axis_genes, read_spaces
from genept.models import unscreened_drugs
from genept.nomenclature import (
    Nomenclature,
    build_reference_table,
    key_of,
    map_targets,
    split_targets,
)
from genept.schema.tables import REASONS
from genept.storage import Part, StoredTable

answer = open_console(soft_wrap=True)
ANSWERED, _, UNLIKE, TOO_FEW_GENES = REASONS
_COMPOUND: Final = pl.coalesce("compound", "drug_id")
NO_MEASUREMENT: Final = (
    "Standard deviations of a drug's profile, beyond what every drug does to the sample; below 0 "
    "is more sensitive. Generated from what is known of the drug, not measured."
)


class Asked:
    """A drug that is asked about, with what is known of it.

    Parameters
    ----------
    platform
        The installation.
    name, targets, smiles
        As given; targets and structure that are None are taken from table `drugs`.

    Raises
    ------
    StoreError
        A target names nothing, nothing is known of the drug, or its name is that of several.
    """

    def __init__(
        self, platform: Platform, name: str, targets: str | None, smiles: str | None
    ) -> None:
        self.platform, self.name, self.smiles = platform, name, smiles
        if not key_of(name):
            raise StoreError(f"--new-drug {name!r}: a name has letters or digits")
        if smiles and not unscreened_drugs.is_structure(smiles):
            raise StoreError(f"--smiles {smiles!r} is no structure; expected SMILES, such as CCO")
        self.targets = self._targets(targets) if targets else None
        if not targets and not smiles and not self._listed.height:
            if several := self._compounds:
                raise StoreError(
                    f"{name!r} is a synonym of {' and '.join(several)}: name one of them, or say "
                    "what it acts on with --targets"
                )
            raise StoreError(
                f"nothing is known of {name!r}: no list has it; say what it acts on with "
                "--targets BRAF,RAF1, or give its --smiles"
            )

    def _targets(self, text: str) -> frozenset[str]:
        if not (tokens := split_targets(text)):
            raise StoreError(f"--targets {text!r} names no target: give genes, such as BRAF,RAF1")
        meanings = map_targets(tokens, Nomenclature(self.platform.reference.index))
        known: set[str] = set()
        for token in tokens:
            meaning = meanings[token]
            if meaning.outcome == "unknown":
                raise StoreError(
                    f"--targets {token!r} names no target: {meaning.evidence}. Commas separate "
                    "targets"
                )
            genes = {id_ for _, id_ in meaning.members}
            known |= genes or {meaning.group or token}
            symbols = ", ".join(symbol for symbol, _ in meaning.members) or "no gene"
            read = f"{token}: {meaning.outcome}, {symbols} ({meaning.evidence})"
            answer.print(f"  {escape(read)}")
        return frozenset(known)

    @cached_property
    def _genes(self) -> Part:
        return build_reference_table(self.platform.lake, self.platform.archives, "genes").part()

    @cached_property
    def _parts(self) -> dict[str, list[Part]]:
        """Parts of the tables of every collection of samples, by its id."""
        bulk = [each for each in self.platform.collections if each.kind == "bulk"]
        return {each.id: self.platform.ingest(each) for each in bulk}

    @cached_property
    def _tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Tables `drugs` and `drug_targets`."""
        lake = self.platform.lake
        ingested = [part for parts in self._parts.values() for part in parts]
        responses = StoredTable.of("drug_responses", ingested)
        parts = self.platform.drug_parts(self._genes, responses)
        drugs, targets = (StoredTable.of(name, parts) for name in ("drugs", "drug_targets"))
        return lake.read(drugs), lake.read(targets)

    @cached_property
    def _compounds(self) -> list[str]:
        """Compounds of table `drugs` that have this name, by any spelling.

        A drug's own name comes before synonyms: a list may have it as one of another drug, too.
        """
        drugs, wanted = self._tables[0].with_columns(_COMPOUND), key_of(self.name)
        rows = drugs.select("compound", "drug_id", "synonyms").rows()
        own = {compound for compound, drug, _ in rows if key_of(drug) == wanted}
        further = {
            compound for compound, _, names in rows if wanted in {key_of(name) for name in names}
        }
        return sorted(own or further)

    @cached_property
    def _listed(self) -> pl.DataFrame:
        """Rows of table `drugs` of this drug, under any name; none if it may be several."""
        compounds = self._compounds if len(self._compounds) == 1 else []
        return self._tables[0].filter(_COMPOUND.is_in(compounds))

    def predict(
        self,
        served: models.Served,
        samples: models.Samples,
        vectors: models.VectorsOfSpace,
        top: int,
    ) -> pl.DataFrame:
        """Predict the samples' response, print it, and return all rows.

        Parameters
        ----------
        served
            Champion of a screen: gives the genes and the unit that are read, and its domain.
        samples
            The samples.
        vectors
            Gives gene vectors of a space.
        top
            How many samples are shown.

        Returns
        -------
        pl.DataFrame
            observation_id, drug_id, prediction, distance, genes_measured, abstained, reason; the
            most sensitive sample first.
        """
        manifest = served.manifest
        if (
            measured := self._listed.filter(pl.col("screens").list.contains(manifest.collection))
        ).height:
            answer.print(
                f"{escape(self.name)} was measured in {manifest.collection} as "
                f"{escape(measured['drug_id'][0])}: predictions from its own responses are better "
                f"(--drug {escape(repr(measured['drug_id'][0]))})"
            )
        features, distances, share = served.read(samples, vectors)
        with console.status("reading the screen and the vectors"):
            model = self._model(
                self.platform.catalogue.collections[manifest.collection], manifest.genes
            )
            profile = model.profiles
        known = model.screen.features[EXPRESSION]
        both = np.vstack([known, features[:, : known.shape[1]]]).astype(np.float32)
        seen = np.arange(len(both)) < len(known)
        lines = model.responses.measured.any(axis=0)
        use = np.concatenate([lines, np.ones(len(features), dtype=np.bool_)])
        predicted = unscreened_drugs.carried_over(both[use], seen[use], profile[:, lines])[0]
        reason = np.select(
            [np.full(len(distances), share < models.LEAST_MEASURED), distances > 1],
            [TOO_FEW_GENES, UNLIKE],
            model.reason(0),
        )
        rows = pl.DataFrame(
            {
                "observation_id": samples.ids,
                "drug_id": self.name,
                "prediction": predicted,
                "distance": distances,
                "genes_measured": share,
                "abstained": reason != ANSWERED,
                "reason": reason,
            }
        ).sort("prediction", "observation_id")
        self._print(model, manifest.collection, rows, top)
        return rows

    def _model(
        self, collection: Collection, genes: tuple[str, ...]
    ) -> unscreened_drugs.UnscreenedModel:
        lake = self.platform.lake
        if (parts := self._parts.get(collection.id)) is None:
            raise StoreError(
                f"{collection.id} is not among the collections of this installation: nothing is "
                "read of its screen (GENEPT_COLLECTIONS)"
            )
        by_table = {name: StoredTable.of(name, parts) for name in {part.table for part in parts}}
        axis = by_table["gene_axis"].part(collection.id)
        if tuple(axis_genes(lake, axis)) != tuple(genes):
            raise StoreError(f"{collection.id} changed since its model was trained: `genept run`")
        read = CollectionParts(
            observations=by_table["observations"].part(collection.id),
            axis=axis,
            expression=tuple(by_table["expression"].parts),
            embeddings={},
        )
        (responses,) = by_table["drug_responses"].parts
        screen = unscreened_drugs.expression_screen(lake, collection, read, responses).rows
        recipes = [self.platform.recipes[unscreened_drugs.SPACES[0].partition("/")[2]]]
        usable = [each for each in recipes if not self.platform.knowledge.unavailable(each)]
        descriptions = StoredTable.of(
            "gene_descriptions", self.platform.describe(self._genes, usable)
        )
        available = self.platform.available_vectors(
            unscreened_drugs.SPACES, descriptions, console.print
        )
        known = unscreened_drugs.Drugs.of(*self._tables, screen.drugs.tolist())
        return unscreened_drugs.UnscreenedModel(
            screen, self._with_asked(known), read_spaces(lake, available, unscreened_drugs.SPACES)
        )

    def _with_asked(self, known: unscreened_drugs.Drugs) -> unscreened_drugs.Drugs:
        listed = unscreened_drugs.Drugs.of(*self._tables, self._listed["drug_id"].to_list())
        targets, smiles = self.targets, self.smiles
        if targets is None and listed.names:
            targets = frozenset[str]().union(*listed.targets)
        if smiles is None:
            smiles = next((each for each in listed.smiles if each), None)
        return known.with_drug(self.name, targets or frozenset(), smiles)

    def _print(
        self, model: unscreened_drugs.UnscreenedModel, screen: str, rows: pl.DataFrame, top: int
    ) -> None:
        answer.print(
            f"\n[bold]{escape(self.name)}[/] as {screen} would see it, compared by "
            f"{model.compared_by} ({self._known_of(model)}); nearest: "
            f"{escape(', '.join(model.evidence(0)) or 'none')}"
        )
        shown = (
            (
                escape(row["observation_id"]),
                "–" if row["abstained"] else f"{row['prediction']:+.2f}",
                f"{row['distance']:.2f}",
                f"abstains: {row['reason']}" if row["abstained"] else "",
            )
            for row in rows.head(top).iter_rows(named=True)
        )
        answer.print(plain_table("sample", "prediction", "distance", "", rows=shown))
        if rows.height > top:
            answer.print(f"… and {rows.height - top:,} more (--out writes them all)")
        answer.print(f"[dim]{NO_MEASUREMENT}[/]")

    @staticmethod
    def _known_of(model: unscreened_drugs.UnscreenedModel) -> str:
        """Which of the two are known of the drug that is asked about, the last one."""
        known = {"targets": model.has_vector[-1], "structure": bool(model.drugs.smiles[-1])}
        lacking = [name for name, is_known in known.items() if not is_known]
        return f"of this drug, no {' and no '.join(lacking)}" if lacking else "both known"
