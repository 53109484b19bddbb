"""What other distributions add by entry points: found by name, loaded when first used.

Groups are ``genept.embedders``, ``genept.readers`` and ``genept.tasks`` (docs/plugins.md); what an
entry point must be is said where it is used. One that cannot be loaded is named in one sentence,
and does not keep anything else from working.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from genept.common.errors import SourceError


@dataclass(frozen=True)
class Plugin:
    """One entry point of another distribution.

    Parameters
    ----------
    entry
        The entry point.
    distribution
        Name and version of the distribution that declares it.
    """

    entry: EntryPoint
    distribution: str

    @property
    def name(self) -> str:
        """Name of what it adds."""
        return self.entry.name

    def load(self) -> Any:
        """Import what the entry point names.

        Raises
        ------
        SourceError
            It cannot be imported; names the distribution.
        """
        try:
            return self.entry.load()
        except (Exception, SystemExit) as error:  # any code may run when it is imported
            raise self.faulty(f"cannot be loaded ({type(error).__name__}: {error})") from error

    def faulty(self, why: str) -> SourceError:
        """The error for a plug-in that does not work: what it is, and what to do.

        Parameters
        ----------
        why
            Follows the name of the entry point: "is no embedder".

        Returns
        -------
        SourceError
            To be raised.
        """
        name = self.distribution.partition(" ")[0]
        return SourceError(
            f"the installed distribution {self.distribution} adds {self.name!r} to "
            f"{self.entry.group}, which {why}: update it, or take it out with "
            f"`pip uninstall {name}`"
        )


@cache
def plugins_of(group: str) -> dict[str, Plugin]:
    """Find the entry points of a group; none is loaded.

    Parameters
    ----------
    group
        Such as ``genept.embedders``.

    Returns
    -------
    dict of str to Plugin
        By name, in alphabetic order; of several of one name the first distribution's.
    """
    plugins: dict[str, Plugin] = {}
    for point in entry_points(group=group):
        of = f"{point.dist.name} {point.dist.version}" if point.dist else "(unknown)"
        plugins.setdefault(point.name, Plugin(point, of))
    return dict(sorted(plugins.items()))
