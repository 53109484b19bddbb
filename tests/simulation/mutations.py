"""Fixed bugs, put back one at a time: the simulator must find each of them.

A mutation changes the text of one function or class of the library. It fails when that text no
longer exists: if you move the code, move the mutation.
"""

from __future__ import annotations
import __future__

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from genept.release import approval_records as approvals
from genept.release import collector, garbage, gate, rollback
from genept.release.candidate_review import Reviewed
from genept.release.fencing import Claim
from genept.release.publish import Releases
from genept.storage.documents import Document
from genept.storage.garbage_list import MarkList
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore


class MutationError(AssertionError):
    """The code that a mutation changes does not exist any more."""


@dataclass(frozen=True)
class Edit:
    """A change of the text of one function, which must hold `old` exactly once."""

    owner: Any
    function: str
    old: str
    new: str

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Replace the function by the changed one, wherever it was imported."""
        if self.function not in vars(self.owner):
            raise MutationError(f"{self.owner.__name__}.{self.function} is gone")
        original = vars(self.owner)[self.function]
        plain = inspect.unwrap(
            getattr(original, "fget", None) or getattr(original, "__func__", original)
        )
        source = getattr(plain, "edited", None) or textwrap.dedent(inspect.getsource(plain))
        if source.count(self.old) != 1:
            raise MutationError(
                f"{self.owner.__name__}.{self.function} holds {self.old!r} "
                f"{source.count(self.old)} times: move the mutation to where that is decided now"
            )
        module = sys.modules[plain.__module__]
        code = compile(
            source.replace(self.old, self.new),
            f"<mutation of {plain.__qualname__}>",
            "exec",
            flags=__future__.annotations.compiler_flag,
            dont_inherit=True,
        )
        namespace: dict[str, Any] = {}
        exec(code, module.__dict__, namespace)  # noqa: S102 (the library's own text)
        changed = namespace[self.function]
        bare = getattr(changed, "fget", None) or getattr(changed, "__func__", changed)
        bare.edited = source.replace(self.old, self.new)
        patch.setattr(self.owner, self.function, changed)
        for name, other in list(sys.modules.items()):
            if name.startswith(("genept.", "simulation.")):
                for attribute, value in list(vars(other).items()):
                    if value is original:
                        patch.setattr(other, attribute, changed)


@dataclass(frozen=True)
class Mutation:
    """A bug.

    Parameters
    ----------
    known_seed
        The first seed that finds it, where the quick test begins.
    """

    name: str
    description: str
    edits: tuple[Edit | Callable[[pytest.MonkeyPatch], None], ...]
    known_seed: int

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Put the bug back until the end of the patch. Raises `MutationError`."""
        for edit in self.edits:
            edit.apply(patch) if isinstance(edit, Edit) else edit(patch)


WITHOUT_CLAIM = Edit(collector._Collector, "confirm", "self.claim.collect", "(lambda *_: None)")
AT_ONCE = Edit(collector, "delete_garbage", "listed.due(grace)", "listed.due(timedelta())")
"""Garbage is deleted when it is found: without the second phase, which would hide other bugs."""

MUTATIONS = (
    Mutation(
        "a run that was given up claims again",
        "A fresh process of a run that was given up finds that its heir is done, and takes over.",
        (Edit(Claim, "_take", "if taker in held.lost_by:", "if False:"),),
        known_seed=32,
    ),
    Mutation(
        "a claim taken from a run that was given up changes no pointer",
        "The swap that the run had under way succeeds after its heir claimed.",
        (Edit(Claim, "_take", "if not new.fenced:", "if False:"),),
        known_seed=11,
    ),
    Mutation(
        "the pointer is read again before it is swapped",
        "Compare-and-swap with an ETag that was read too late: an update is lost.",
        (
            Edit(
                Releases,
                "swap",
                "replacement, etag)",
                "replacement, etag and self.pointer_with_etag()[1])",
            ),
        ),
        known_seed=26,
    ),
    Mutation(
        "a clock that is ahead blocks all others",
        "A release with a later stamp than theirs makes every other publisher refuse.",
        (
            Edit(
                gate,
                "new_id",
                "stamp = _stamp(datetime.strptime(newest, _STAMP) + timedelta(milliseconds=1))",
                'raise ReleaseRefusedError("set this machine\'s clock right and run again")',
            ),
        ),
        known_seed=15,
    ),
    Mutation(
        "an optional field breaks readers",
        "Documents with a field that this version does not know are refused.",
        (
            Edit(
                Document,
                "parse",
                "cls.model_validate_json(body)",
                'cls.model_validate_json(body, extra="forbid")',
            ),
        ),
        known_seed=5,
    ),
    Mutation(
        "a fence uses approvals up",
        "Approvals are bound to `seq`, which the claim of the next run raises.",
        (
            Edit(
                approvals,
                "_folder",
                'f"{releases.product}/approvals/',
                'f"{releases.product}/approvals/{pointer.seq}-',
            ),
        ),
        known_seed=1,
    ),
    Mutation(
        "a lost answer counts as a conflict",
        "The store refuses the repeated request because of the first one, and nobody reads back.",
        (Edit(ObjectStore, "_put_if_match", "if stored != body:", "if True:"),),
        known_seed=58,
    ),
    Mutation(
        "a lost manifest ends the history",
        "Everything older counts as never current, and is collected although it is young.",
        (
            Edit(
                garbage,
                "release_folders",
                "set(history.missing) - set(accepted)",
                "set()",
            ),
            Edit(
                garbage,
                "release_folders",
                "sorted({*history.ids, *history.uncertain})",
                "sorted(history.ids)",
            ),
        ),
        known_seed=136,
    ),
    Mutation(
        "garbage collection between a part and its record",
        "A collector without claim or grace leaves a record of nothing, which fails for ever.",
        (
            WITHOUT_CLAIM,
            AT_ONCE,
            Edit(MarkList, "keep", "if not wanted & self._listed[1]:", "if True:"),
            Edit(
                Lake,
                "_recall",
                "self.dangling.add(record_key)\n            return None, etag",
                'raise StoreError("objects are gone: restore them, or delete that record")',
            ),
        ),
        known_seed=305,
    ),
    Mutation(
        "a collector takes no claim",
        "It deletes what a run at work has built, or the release that one asleep for days stages.",
        (WITHOUT_CLAIM, AT_ONCE),
        known_seed=305,
    ),
    Mutation(
        "a collector believes its own clock",
        "With a clock a year ahead everything is old, and stages of runs at work are deleted.",
        (
            Edit(
                collector,
                "list_garbage",
                "now or releases.marks.touch()",
                "now or datetime.now().astimezone()",
            ),
            AT_ONCE,
        ),
        known_seed=148,
    ),
    Mutation(
        "rolling back makes denied content current",
        "An older release of the same content is not denied by its own id.",
        (
            Edit(
                rollback,
                "roll_back",
                "if known[known_id].data_version not in denied]",
                "if known_id not in {named.release_id for named in pointer.denied}]",
            ),
        ),
        known_seed=22,
    ),
    Mutation(
        "a release is deleted while a rollback makes it current",
        "Neither the pointer is changed before the deletion, nor is it read again.",
        (
            Edit(collector._Collector, "delete_releases", "self.claim.fence()", "pass"),
            Edit(rollback, "roll_back", "set(releases.marks.read().doomed)", "set()"),
        ),
        known_seed=224,
    ),
    Mutation(
        "a candidate is not compared again before the swap",
        "Another release became current after the comparison, and differs too much from it.",
        (Edit(Reviewed, "confirm", "if not same_tenure(self.against, pointer):", "if False:"),),
        known_seed=69,
    ),
)
