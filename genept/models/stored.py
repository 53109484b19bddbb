"""What the registry keeps of a model: documents, and a version on its way in.

Where they lie and who may replace them is in `genept.models.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import ValidationError

from genept.models.evidence import Evidence, ModelManifest
from genept.store.errors import StoreError
from genept.store.manifest import Document

D = TypeVar("D", bound=Document)


class NamedVersion(Document):
    """A version, and the hash of its manifest."""

    version: str
    manifest_sha256: str


class ChampionPointer(Document):
    """`champion.json`: the champion first, then up to four before it."""

    format: Literal[1] = 1
    seq: int
    models: tuple[NamedVersion, ...]
    reason: str
    swapped_at: str
    nonce: str

    @property
    def champion(self) -> NamedVersion:
        """Who predicts now."""
        return self.models[0]


class Shadow(Document):
    """Since when a challenger predicts beside the champion, unheard."""

    model: str
    version: str
    since: str


@dataclass(frozen=True)
class TrainedModel:
    """A model on its way into the registry.

    Parameters
    ----------
    probe
        Features of the probe set, and its `probabilities`.
    domain
        What samples look like that it may judge; see `genept.models.domain`.
    """

    manifest: ModelManifest
    pipeline: bytes
    probe: bytes
    domain: bytes
    evidence: Evidence
    card: str


def parsed(kind: type[D], body: bytes, address: str) -> D:
    """A stored document.

    Raises
    ------
    StoreError
        If it is not one.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise StoreError(f"{address} is not a valid {kind.__name__}: {error}") from error
