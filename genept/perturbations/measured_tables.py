"""Tables `perturbation_screens` and `perturbation_effects`, of screens computed from expression.

How a file is read and measured is `genept.perturbations.measured_screens`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from genept.common import SourceError
from genept.datasources import Source, Style, published_screens
from genept.datasources.download import Archives
from genept.datasources.readers import Allowance
from genept.nomenclature import Nomenclature
from genept.perturbations.measured_screens import ScreenFile, measure_screen
from genept.perturbations.screen_tables import screen_row
from genept.perturbations.user_screens import UserScreen
from genept.storage import Lake, NewPart, Origin, Part

_CODE: Final = (
    "genept.datasources.readers",
    "genept.datasources.screen_files",
    "genept.perturbations.effect_rules",
    "genept.perturbations.effect_sums",
    "genept.perturbations.measured_screens",
    "genept.perturbations.screen_tables",
    "genept.nomenclature",
    "genept.schema.tables",
)
_LIBRARIES: Final = ("numpy", "scipy")


@dataclass(frozen=True)
class ScreenInput:
    """A screen whose effects are to be computed.

    Parameters
    ----------
    id, cell_line
        Of the screen.
    source, sha256, release
        Its file in the catalogue, the hash of that, and its name with the release.
    fetch
        Returns the local file.
    style, matrix
        As for `genept.datasources.read_screen`.
    is_added
        Whether a user added it.
    """

    id: str
    cell_line: str
    source: Source
    sha256: str
    release: str
    fetch: Callable[[], Path]
    style: Style | None = None
    matrix: str | None = None
    is_added: bool = False


def screen_inputs(archives: Archives, added: Sequence[UserScreen]) -> list[ScreenInput]:
    """List the screens to compute: the catalogue's that are available, and users'.

    Parameters
    ----------
    archives
        Finds the sources, users' included.
    added
        What users added.

    Returns
    -------
    list of ScreenInput
        In that order.
    """
    inputs = [
        ScreenInput(
            screen.id, screen.cell_line, archives.catalogue.source(file.id), file.sha256,
            file.release, partial(archives.fetch, file.id), screen.style,
        )
        for screen, file in published_screens(archives).items()
    ]  # fmt: skip
    return inputs + [
        ScreenInput(
            screen.id, screen.cell_line, screen.file, screen.file.sha256,
            f"{screen.file.title}-sha256-{screen.file.sha256[:12]}",
            partial(archives.fetch, screen.file.id), screen.style, screen.matrix, is_added=True,
        )
        for screen in added
    ]  # fmt: skip


def build_measured(
    lake: Lake,
    inputs: Sequence[ScreenInput],
    genes: Part,
    nomenclature: Callable[[], Nomenclature],
    allowance: Allowance,
    warn: Callable[[str], None],
) -> list[Part]:
    """Build the tables of screens, of files of expression.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    inputs
        The screens.
    genes
        Table `genes`.
    nomenclature
        Opens what maps names; called only if there is something new to map.
    allowance
        What reading a file may take.
    warn
        Called with which screen of a user is left out, and why.

    Returns
    -------
    list of Part
        Two parts for each screen.

    Raises
    ------
    SourceError
        A file of the catalogue is refused.
    """
    parts: list[Part] = []
    for screen in inputs:
        terms = {
            "screen": screen.id,
            "cell_line": screen.cell_line,
            "style": screen.style,
            "matrix": screen.matrix,
            "licence": screen.source.licence,
            "redistributable": screen.source.redistributable,
        }
        read = {screen.source.id: screen.sha256, "genes": genes.sha256}
        origin = Origin(_CODE, read, terms, _LIBRARIES)
        compute = partial(_parts, screen, nomenclature, allowance)
        try:
            parts += lake.build(f"perturbations/{screen.id}", origin, compute)
        except SourceError as error:
            if not screen.is_added:
                raise
            warn(
                f"screen {screen.id} is left out: {error}. `genept perturbations remove "
                f"{screen.id}` takes it back"
            )
    return parts


def _parts(
    screen: ScreenInput, nomenclature: Callable[[], Nomenclature], allowance: Allowance
) -> list[NewPart]:
    file = ScreenFile(
        screen.fetch(), screen.source.title, screen.cell_line, screen.style, screen.matrix
    )
    measured = measure_screen(screen.id, file, nomenclature(), allowance)
    row = screen_row(
        screen.id, screen.cell_line, [screen.release], screen.source, measured.effects,
        rule=measured.rule, n_combinations=measured.n_combinations, n_few_cells=measured.n_few,
        unchanged_share=measured.unchanged_share,
    )  # fmt: skip
    return [
        NewPart("perturbation_screens", row, (screen.id,)),
        NewPart("perturbation_effects", measured.effects, (screen.id,)),
    ]
