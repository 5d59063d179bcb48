"""Taking backups and unfinished folders away from a local storage, so that an interruption leaves only garbage."""

import contextlib
import os
import re
import stat
import uuid
from collections.abc import Generator
from datetime import UTC, datetime

import msgspec

from dgtui.engine.errors import StorageError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import open_folder, rename_folder
from dgtui.engine.storages.base import MANIFEST, FolderRef, KnownFolders, Leftover, Orphan
from dgtui.engine.storages.local_look import holds
from dgtui.engine.storages.local_reader import open_for_reading
from dgtui.engine.storages.local_root import FOLDER_NAME, UUID_NAME, LocalRoot, check_ref
from dgtui.engine.storages.local_writer import PARTIAL, remove_tree

DELETED = ".deleted-"
_LEFTOVER = re.compile(
    rf"(?:{re.escape(PARTIAL)}|{re.escape(DELETED)}){FOLDER_NAME.pattern}-(?P<execution>{UUID_NAME.pattern})",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_MANIFEST = 32 << 20


class _Owner(msgspec.Struct):
    execution_id: str


def delete_backup(root: LocalRoot, ref: FolderRef) -> int:
    """Remove a backup at one stroke, then its bytes, the manifest first; the bytes freed. Raises StorageError."""
    check_ref(ref)
    path = root.path / ref.job_id / ref.folder
    with root.opened() as root_fd, explained(path, "delete"), contextlib.ExitStack() as folders:
        try:
            job = open_folder(ref.job_id, folder=root_fd)
            folders.callback(os.close, job)
            folder = open_folder(ref.folder, folder=job)
            folders.callback(os.close, folder)
        except FileNotFoundError:
            return 0
        freed, _ = _size_and_change(ref.folder, job)
        garbage = f"{DELETED}{ref.folder}-{_execution_id(folder)}"
        try:
            rename_folder(ref.folder, garbage, job)
            os.fsync(job)
        except FileExistsError:
            # The rest of a deletion that was interrupted has the name; without its manifest this is no backup either.
            garbage = ref.folder
        _remove(garbage, folder, job)
        _remove_job_folder(ref.job_id, root_fd)
        return freed


def leftovers(root: LocalRoot) -> Generator[Leftover, None, None]:
    """The folders that runs and deletions left unfinished. Raises StorageError."""
    with root.opened() as root_fd:
        for job_id, job, names in root.jobs(root_fd):
            for name in names:
                if (leftover := _leftover(root, job_id, name, job)) is not None:
                    yield leftover


def _leftover(root: LocalRoot, job_id: str, name: str, job: int) -> Leftover | None:
    # Most names are those of backups: they are told apart by their first character.
    if name[:1] != "." or (match := _LEFTOVER.fullmatch(name)) is None:
        return None
    path = root.path / job_id / name
    with explained(path, "look into"):
        try:
            size, changed = _size_and_change(name, job)
        except FileNotFoundError:
            return None
    return Leftover(path=str(path), execution_id=match["execution"].lower(), bytes=size, changed_at=changed)


def remove_leftover(root: LocalRoot, leftover: Leftover) -> None:
    """Remove an unfinished folder; nothing else is ever removed by it. Raises StorageError."""
    job_id, _, name = leftover.path.removeprefix(f"{root.path}{os.sep}").partition(os.sep)
    if not (UUID_NAME.fullmatch(job_id) and _LEFTOVER.fullmatch(name)):
        raise StorageError(f"Not an unfinished folder of this storage: {leftover.path!r}", subject=str(root.path))
    with root.opened() as root_fd, explained(leftover.path, "remove"), contextlib.ExitStack() as folders:
        try:
            job = open_folder(job_id, folder=root_fd)
            folders.callback(os.close, job)
            folder = open_folder(name, folder=job)
            folders.callback(os.close, folder)
        except FileNotFoundError:
            return
        _remove(name, folder, job)
        _remove_job_folder(job_id, root_fd)


def strangers(
    root: LocalRoot, known: KnownFolders, listed: KnownFolders
) -> Generator[Leftover | Orphan | FolderRef, None, None]:
    """All that is unfinished, and the folders with the name of a backup but the known ones.

    Raises StorageError, and only at the end where it is some of the folders that cannot be looked into.
    """
    failed: StorageError | None = None
    with root.opened() as root_fd:
        for job_id, job, names in root.jobs(root_fd, listed):
            for name in set(names).difference(known.get(job_id, ())):
                try:
                    found = _stranger(root, job_id, name, job)
                except StorageError as error:
                    failed = failed or error
                    continue
                if found is not None:
                    yield found
    if failed is not None:
        raise failed


def _stranger(root: LocalRoot, job_id: str, name: str, job: int) -> Leftover | Orphan | FolderRef | None:
    if (leftover := _leftover(root, job_id, name, job)) is not None:
        return leftover
    return _backup_or_orphan(root, job_id, name, job) if FOLDER_NAME.fullmatch(name) else None


def _backup_or_orphan(root: LocalRoot, job_id: str, name: str, job: int) -> FolderRef | Orphan | None:
    path, ref = f"{root.path}/{job_id}/{name}", FolderRef(job_id=job_id, folder=name)
    with explained(path, "look into"):
        try:
            folder = open_folder(name, folder=job)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            if holds(MANIFEST, folder):
                return ref
        finally:
            os.close(folder)
        size, changed = _size_and_change(name, job)
    return Orphan(ref=ref, path=path, bytes=size, changed_at=changed)


def remove_orphan(root: LocalRoot, orphan: Orphan) -> None:
    """Remove a folder without a manifest; nothing else is ever removed by it. Raises StorageError."""
    ref = orphan.ref
    if not (UUID_NAME.fullmatch(ref.job_id) and FOLDER_NAME.fullmatch(ref.folder)):
        raise StorageError(f"Not a folder without a backup: {orphan.path!r}", subject=str(root.path))
    with root.opened() as root_fd, explained(orphan.path, "remove"), contextlib.ExitStack() as folders:
        try:
            job = open_folder(ref.job_id, folder=root_fd)
            folders.callback(os.close, job)
            folder = open_folder(ref.folder, folder=job)
            folders.callback(os.close, folder)
        except FileNotFoundError:
            return
        # Before it is renamed: killed in between, a backup would be left under a name that is cleaned up.
        if holds(MANIFEST, folder):
            raise _has_manifest(orphan)
        garbage = f"{DELETED}{ref.folder}-{uuid.uuid4()}"
        rename_folder(ref.folder, garbage, job)
        # And under its new name: nobody can publish a backup in it any more.
        if holds(MANIFEST, folder):
            rename_folder(garbage, ref.folder, job)
            raise _has_manifest(orphan)
        os.fsync(job)
        _remove(garbage, folder, job)
        _remove_job_folder(ref.job_id, root_fd)


def _has_manifest(orphan: Orphan) -> StorageError:
    return StorageError(
        f"{orphan.path} has a manifest by now", subject=orphan.path, hint="dgtui scan reads the storage anew"
    )


def end_removal(root: LocalRoot, ref: FolderRef) -> None:
    """Remove what an interrupted removal left, under its own name or the one it was given. Raises StorageError."""
    check_ref(ref)
    path = root.path / ref.job_id / ref.folder
    remove_orphan(root, Orphan(ref=ref, path=str(path), bytes=0, changed_at=datetime.now(UTC)))
    prefix = f"{DELETED}{ref.folder}-"
    with root.opened() as root_fd, explained(path, "delete"), contextlib.ExitStack() as folders:
        try:
            job = open_folder(ref.job_id, folder=root_fd)
        except FileNotFoundError:
            return
        folders.callback(os.close, job)
        for name in root.names(job, ref.job_id):
            if name.startswith(prefix) and UUID_NAME.fullmatch(name.removeprefix(prefix)):
                folder = open_folder(name, folder=job)
                folders.callback(os.close, folder)
                _remove(name, folder, job)
        _remove_job_folder(ref.job_id, root_fd)


def _remove(name: str, folder: int, job: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(MANIFEST, dir_fd=folder)
        os.fsync(folder)
    remove_tree(name, job)


def _remove_job_folder(job_id: str, root_fd: int) -> None:
    # It stays where another backup, or another run, is in it.
    with contextlib.suppress(OSError):
        os.rmdir(job_id, dir_fd=root_fd)


def _size_and_change(name: str, folder: int) -> tuple[int, datetime]:
    """Bytes of all plain files below a folder, and when the system last saw anything of it change."""
    total, changed = 0, 0.0
    with contextlib.suppress(FileNotFoundError):
        changed = os.stat(name, dir_fd=folder, follow_symlinks=False).st_ctime
    for _, _, files, walked in os.fwalk(name, dir_fd=folder, follow_symlinks=False):
        changed = max(changed, os.fstat(walked).st_ctime)
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(file, dir_fd=walked, follow_symlinks=False)
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
                changed = max(changed, found.st_ctime)
    return total, datetime.fromtimestamp(changed, UTC)


def _execution_id(folder: int) -> str:
    """The execution that made a backup, as far as its manifest can still be read; else a fresh id."""
    with contextlib.suppress(OSError, ValueError, RecursionError), open_for_reading(MANIFEST, folder) as file:
        owner = msgspec.json.decode(file.read(_LONGEST_MANIFEST).removeprefix(b"\xef\xbb\xbf"), type=_Owner)
        return str(uuid.UUID(owner.execution_id))
    return str(uuid.uuid4())
