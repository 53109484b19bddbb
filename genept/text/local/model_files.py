"""The files of a model: in a folder, in an archive of the package index, or below a mirror.

Files that could run code (pickles) are never read. Which files there are is declared in
`genept.text.local.local_models`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, TypeVar

from genept.common import private_folder, replacement
from genept.datasources.download import Archives
from genept.text.embedders import UnusableModelError
from genept.text.local.local_models import LocalModel

T = TypeVar("T")

PICKLED: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.pkl")
SAFE: Final = (
    "convert it to model.safetensors, for example with `save_pretrained(folder, "
    "safe_serialization=True)` of transformers, or take the file of this name from the publisher"
)


_POINTER: Final = b"version https://git-lfs"
_BELOW: Final = ("*/", "*/*/")
"""Where else weights are looked for: in a folder that `git clone` or Hugging Face's cache made."""


@dataclass(frozen=True)
class PublishedFiles:
    """Files of one model.

    Parameters
    ----------
    where
        Place, for messages.
    open
        Opens a file by its name.
    has
        Whether there is a file of this name.
    sha256
        SHA-256 of files that are pinned, by name.
    folder
        Where they are; None: in an archive.
    """

    where: str
    open: Callable[[str], AbstractContextManager[BinaryIO]]
    has: Callable[[str], bool]
    sha256: Mapping[str, str]
    folder: Path | None = None

    def on_disk(self, name: str, folder: Path) -> Path:
        """A file as a path: where it is, or unpacked from its archive into a folder.

        Raises
        ------
        UnusableModelError
            It is not there, or has other bytes than the pinned ones.
        """
        if self.folder is None:
            return unpacked_weights(lambda: self.open(name), self.sha256[name], folder)
        actual = self._opened(name, _digest)
        self._refuse_other(name, actual)
        return self.folder / name

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises
        ------
        UnusableModelError
            It is not there, or has other bytes than the pinned ones.
        """
        content = self._opened(name, lambda file: file.read())
        self._refuse_other(name, hashlib.sha256(content).hexdigest())
        return content

    def _refuse_other(self, name: str, actual: str) -> None:
        if actual != self.sha256.get(name, actual):
            raise UnusableModelError(
                f"{name} in {self.where} has sha256 {actual}, expected {self.sha256[name]}: it is "
                "not the declared one. Put the right file back, or declare what it is now under "
                "another id"
            )

    def digest(self, name: str) -> str:
        """SHA-256 of a file: as declared, else of what is there."""
        if name in self.sha256:
            return self.sha256[name]
        return self._opened(name, _digest)

    def _opened(self, name: str, use: Callable[[BinaryIO], T]) -> T:
        if not self.has(name):
            raise UnusableModelError(f"{self.where} has no file {name}")
        try:
            with self.open(name) as file:
                return use(file)
        except OSError as error:
            raise UnusableModelError(f"{name} in {self.where} cannot be read: {error}") from error


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def unpacked_weights(
    opened: Callable[[], AbstractContextManager[BinaryIO]], sha256: str, folder: Path
) -> Path:
    """Return a file of weights that llama.cpp can open: unpacked once, and checked.

    Parameters
    ----------
    opened
        Opens the file in its archive.
    sha256
        Of the file.
    folder
        Where it is kept.

    Returns
    -------
    Path
        A GGUF file with this SHA-256.

    Raises
    ------
    UnusableModelError
        The archive holds another file.
    """
    path = private_folder(folder) / f"{sha256}.gguf"
    if path.is_file():
        with path.open("rb") as kept:
            if _digest(kept) == sha256:
                return path
    with opened() as packed, replacement(path) as file:
        digest = hashlib.sha256()
        while block := packed.read(1 << 20):
            digest.update(block)
            file.write(block)
        if (actual := digest.hexdigest()) != sha256:
            raise UnusableModelError(
                f"the archive's file has SHA-256 {actual}, declared is {sha256}: correct the "
                "declaration of the model"
            )
    return path


def files_of(
    model: LocalModel, archives: Archives | None, mirrors: Sequence[str]
) -> PublishedFiles:
    """Find the files of a model.

    Parameters
    ----------
    model
        Its declaration.
    archives
        Opens the archives of the catalogue; None: there are none.
    mirrors
        As in the settings; those that are folders are searched.

    Returns
    -------
    PublishedFiles
        Of the archive, the declared folder, or the first mirror that has it.

    Raises
    ------
    UnusableModelError
        It is nowhere; says where it was looked for.
    """
    if why := missing_files(model, mirrors):
        raise UnusableModelError(why)
    if model.source is not None:
        if archives is None:
            raise UnusableModelError(f"{model.id} is in an archive, and none are opened here")
        prefix = PurePosixPath(model.members)
        open_member = partial(archives.open_member, model.source)
        return PublishedFiles(
            f"archive {model.source}",
            lambda name: open_member(str(prefix / name)),
            lambda name: name in model.sha256,
            model.sha256,
        )
    (folder, *_) = _folders(model, mirrors)
    return folder_files(folder, model.sha256)


def folder_files(folder: Path, sha256: Mapping[str, str]) -> PublishedFiles:
    """The files of a folder; names that lead out of it are not there."""

    def path_of(name: str) -> Path:
        return folder / PurePosixPath(name)

    def has(name: str) -> bool:
        path = PurePosixPath(name)
        return not path.is_absolute() and ".." not in path.parts and path_of(name).is_file()

    return PublishedFiles(str(folder), lambda name: path_of(name).open("rb"), has, sha256, folder)


def missing_files(model: LocalModel, mirrors: Sequence[str]) -> str | None:
    """Say why the files of a model are not available.

    Parameters
    ----------
    model
        Its declaration.
    mirrors
        As in the settings.

    Returns
    -------
    str or None
        What to do; None if they are available, or in an archive of the package index.
    """
    if model.source is not None:
        return None
    folders = _folders(model, mirrors)
    if not folders:
        published = f" of {model.repository}" if model.repository else ""
        return (
            f"{model.id} has no files here: run `genept embedders add FOLDER --id {model.id}` with "
            f"a folder that has the files{published}, or put them in models/{model.id}/ of a "
            "mirror (GENEPT_MIRRORS)"
        )
    return unreadable(folders[0], model)


def unreadable(folder: Path, model: LocalModel) -> str | None:
    """Why a folder does not hold a model; None if it does."""
    if not folder.is_dir():
        return f"{model.id}: there is no folder {folder}"
    files = folder_files(folder, {})
    if not files.has(model.weights):
        if pickled := sorted(path.name for name in PICKLED for path in folder.glob(name)):
            return (
                f"{folder} has its weights in {pickled[0]}, a format that can run code when it is "
                f"read, and is not opened: {SAFE}"
            )
        inside = [path for depth in _BELOW for path in folder.glob(f"{depth}{model.weights}")]
        if not inside:
            return f"{folder} has no {model.weights}: give the folder that the publisher offers"
        holder = min(inside).parents[model.weights.count("/")]
        return f"{folder} has no {model.weights}: give {holder}, which has it"
    with files.open(model.weights) as file:
        if file.read(len(_POINTER)) == _POINTER:
            return (
                f"{model.weights} in {folder} is only a pointer of Git LFS: run `git lfs pull` "
                "there, or take the file itself from the publisher"
            )
    return None


def _folders(model: LocalModel, mirrors: Sequence[str]) -> list[Path]:
    """Folders that are to hold a model: the declared one, or those of mirrors that have it."""
    if model.folder is not None:
        return [model.folder.expanduser()]
    places = (Path(mirror).expanduser() for mirror in mirrors if "://" not in mirror)
    return [path for place in places if (path := place / "models" / model.id).is_dir()]
