"""Drugs of the screens of an installation, with the structures that its archives have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genept.models.drug_response import DrugScreen, build_drugs
from genept.nomenclature import Nomenclature
from genept.storage import Part, StoredTable

if TYPE_CHECKING:
    from genept.client.platform import Platform


def drug_parts(platform: Platform, genes: Part, responses: StoredTable) -> list[Part]:
    """Tables `drugs` and `drug_targets`, as `Platform.drug_parts` says."""
    screens = [_screen(platform, part) for part in responses.parts]
    return build_drugs(
        platform.lake,
        platform.archives,
        genes,
        lambda: Nomenclature(platform.reference.index),
        screens,
    )


def _screen(platform: Platform, responses: Part) -> DrugScreen:
    """Drugs of one screen, with their structures; of a collection that was removed, none."""
    (id_,) = responses.partition
    collection = platform.catalogue.collections.get(id_)
    if collection is None:
        return DrugScreen(id_, redistributable=False, responses=responses, structures={})
    open_ = collection.redistributable and platform.settings.drug_structures is None
    return DrugScreen(id_, open_, responses, platform.structures(collection))
