"""Which names are of one drug, as lists of drugs with their synonyms say."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from genept.datasources import Compound
from genept.nomenclature import key_of

_SHORTEST_SYNONYM: Final = 4
"""Letters and digits that a synonym must have to say that two drugs are one."""


class DrugIdentities:
    """Which names are of one drug: those that are alike, and those that a list gives together."""

    def __init__(self) -> None:
        self._before: dict[str, str] = {}

    def names(self, key: str, other: str | None = None) -> None:
        """Take note of a name, and of another one of the same drug."""
        self._before.setdefault(key, key)
        if other is not None:
            self._before[self.of(other)] = self.of(key)

    def of(self, key: str) -> str:
        """The key that stands for all names of a drug."""
        while (before := self._before.setdefault(key, key)) != key:
            key = before
        return key

    def learn(self, compounds: Sequence[Compound]) -> None:
        """Take note of a list; a synonym of several drugs, or another drug's name, says nothing."""
        named = {key_of(compound.name) for compound in compounds}
        synonyms: dict[str, set[str]] = {}
        for compound in compounds:
            synonyms.setdefault(key_of(compound.name), set()).update(map(key_of, compound.synonyms))
        shared = Counter(key for keys in synonyms.values() for key in keys)
        for name, keys in synonyms.items():
            self.names(name)
            for key in sorted(keys - named):
                if shared[key] == 1 and len(key) >= _SHORTEST_SYNONYM:
                    self.names(name, key)
