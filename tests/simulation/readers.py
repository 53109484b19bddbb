"""Processes that read releases, with this version and the first, or build without publishing."""

from __future__ import annotations

import hashlib

from genept.common.errors import StoreError
from simulation import first_version
from simulation.excuses import mentions, names_removed, only_excused_errors
from simulation.library import FEW, Content, build
from simulation.network import connect, releases_of
from simulation.process import Process
from simulation.world import World


def read(world: World, process: Process) -> None:
    """Resolve the current release a few times and read all of it, as an analyst's session does."""
    releases, seq = releases_of(world, process), 0
    for _ in range(world.rng.randint(1, 4)):
        with only_excused_errors(
            world, process, mentions("nothing has been released yet"), names_removed(world)
        ):
            pointer = releases.pointer()
            if pointer is None:
                continue
            if pointer.seq < seq:
                world.ledger.violate("seq never falls", f"{process.name} saw it")
            seq = pointer.seq
            manifest = releases.current()
            for name, table in manifest.tables.items():
                for file in table.files:
                    key = f"{releases.folder(manifest.release_id)}/{file.path}"
                    try:
                        body = releases.store.get(key)
                    except StoreError:
                        if manifest.release_id in world.ledger.protected():
                            raise
                        return  # it took so long that the release was collected
                    if hashlib.sha256(body).hexdigest() != file.sha256:
                        world.ledger.violate("no torn read", f"{process.name}: {name}")
            world.counters["release read whole"] += 1


def build_all(world: World, contents: list[Content], process: Process) -> None:
    """Build every table of every content; the lake has most of them already."""
    lake = releases_of(world, process).lake
    with only_excused_errors(world, process):
        for content in contents:
            for table in FEW:
                for part in build(lake, content, table).parts:
                    lake.local(part)


def read_as_first_version(world: World, process: Process) -> None:
    """Read the current release as version 0.1.0, which may refuse a later format."""
    store = connect(world, process)
    allowed = [names_removed(world, "there is no")]
    if world.ledger.pointer is None:
        allowed.append(mentions(f"/{world.ledger.pointer_key}"))
    with only_excused_errors(world, process, *allowed):
        try:
            count = sum(1 for _ in first_version.read_current(store.get, world.product))
        except first_version.NotReadableError:
            world.counters["later release refused by version 0.1.0"] += 1
        except first_version.TornError as error:
            world.ledger.violate("no torn read", f"{process.name}: {error}")
        else:
            world.counters["release read by version 0.1.0"] += bool(count)
