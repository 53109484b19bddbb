"""The declarations of text embedders, as TOML has them: shipped, and a user's own.

One table `[embedders.ID]` for each. What its fields mean is said by the model of its kind:
`genept.text.local.local_models` for this machine, `genept.text.hosted.hosted_models` for services.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from genept.common import Settings, write_privately
from genept.text.embedders import UnusableModelError

KINDS: Final = ("hosted", "bert", "static", "language-model")
PLACES: Final = frozenset(
    {
        "folder", "sha256", "revision", "weights", "max_tokens", "tokenizer", "base_url", "model",
        "echoes", "batch_price", "dollars_per_million_tokens", "tokens_per_minute",
        "requests_per_minute", "at_once", "request_tokens", "request_texts",
    }
)  # fmt: skip
"""Fields that say where a shipped model is; a user may give them for one that has no place."""

Entry = Mapping[str, Any]


def embedder_files(settings: Settings) -> tuple[Path, ...]:
    """Return the files of an installation that declare embedders.

    Parameters
    ----------
    settings
        Of the installation.

    Returns
    -------
    tuple of Path
        The user's file, and that of added models, where there are such.
    """
    added = added_file(settings)
    own = (settings.embedders.expanduser(),) if settings.embedders else ()
    return (*own, *((added,) if added.is_file() else ()))


def added_file(settings: Settings) -> Path:
    """Return the file in which `genept embedders add` declares models.

    Parameters
    ----------
    settings
        Of the installation.

    Returns
    -------
    Path
        Made when the first model is added.
    """
    return settings.state / "embedders.toml"


def all_entries(*own: Path) -> dict[str, Entry]:
    """Read every declaration by id, each with its `kind`.

    Parameters
    ----------
    own
        Files of a user's own declarations.

    Returns
    -------
    dict
        In the order of declaration.

    Raises
    ------
    UnusableModelError
        A file cannot be read, or declares an id anew.
    """
    known = read_entries(files("genept.text").joinpath("embedders.toml").read_text("utf-8"))
    for path in own:
        try:
            added = read_entries(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError) as error:
            raise UnusableModelError(
                f"{path} declares embedders and cannot be used: {error}"
            ) from error
        for id_, entry in added.items():
            known[id_] = _placed(known[id_], entry, path, id_) if id_ in known else entry
    for entry in known.values():
        entry.setdefault("kind", "hosted")
        if entry["kind"] not in KINDS:
            raise UnusableModelError(
                f"[embedders.{entry['id']}] kind = {entry['kind']!r}: expected one of {KINDS}"
            )
    return dict(known)


def read_entries(text: str) -> dict[str, dict[str, Any]]:
    """Read the tables `[embedders.ID]` of a file; `ValueError` if it holds anything else."""
    parsed = tomllib.loads(text)
    if set(parsed) - {"embedders"} or not isinstance(parsed.get("embedders", {}), dict):
        raise ValueError("expected tables [embedders.ID] and nothing else")
    entries = parsed.get("embedders", {})
    if wrong := [id_ for id_, entry in entries.items() if not isinstance(entry, dict)]:
        raise ValueError(f"expected tables [embedders.ID], and {wrong} are none")
    for id_, entry in entries.items():
        for name, value in entry.items():
            if name != "sha256" and isinstance(value, dict):
                raise ValueError(
                    f"[embedders.{id_}.{name}] is no field of an embedder; an id with a dot is "
                    f'written in quotes: [embedders."{id_}.{name}"]'
                )
    return {id_: {"id": id_, **entry} for id_, entry in entries.items()}


def _placed(shipped: dict[str, Any], entry: Entry, path: Path, id_: str) -> dict[str, Any]:
    """A shipped declaration with the place of the model that the user gives."""
    given = set(entry) - {"id"}
    needs_server = bool(shipped.get("own_server"))
    is_placed = {"source", "folder", "base_url"} & set(shipped)
    has_place = not needs_server and shipped.get("kind", "hosted") == "hosted"
    if is_placed or has_place or not given <= PLACES:
        raise UnusableModelError(
            f"{path} declares {[id_]} anew: vectors are named after their embedder; choose "
            "another id"
        )
    return shipped | dict(entry)


def write_entry(path: Path, id_: str, entry: Entry | None) -> None:
    """Write one declaration into a file of added models, or take it out.

    Parameters
    ----------
    path
        The file; made if need be.
    id_
        Id of the embedder.
    entry
        Its fields; None: it is removed.
    """
    entries = read_entries(path.read_text(encoding="utf-8")) if path.is_file() else {}
    entries.pop(id_, None)
    if entry is not None:
        entries[id_] = dict(entry)
    tables = ["# Written by `genept embedders add`.\n"]
    for name, fields in entries.items():
        lines = [f"[embedders.{_text(name)}]"]
        lines += [f"{key} = {_text(value)}" for key, value in fields.items() if key != "id"]
        tables.append("\n".join(lines) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_privately(path, "\n".join(tables).encode())


def _text(value: Any) -> str:
    """A value of TOML: its strings are those of JSON, but for the character DEL."""
    if isinstance(value, Mapping):
        pairs = (f"{_text(key)} = {_text(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
