"""Whether backups are there, of a local storage: a folder is one where it holds a manifest."""

import os
from collections.abc import Sequence

from dgtui.engine.errors import StorageError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import open_folder
from dgtui.engine.model import CopyStatus
from dgtui.engine.storages.base import MANIFEST, FolderRef
from dgtui.engine.storages.local_root import LocalRoot, check_ref


def folders_of_job(root: LocalRoot, job_id: str) -> frozenset[str] | None:
    """The names in a job's folder, None where it tells nothing; raises StorageError where the root cannot be asked."""
    with root.opened() as folder:
        try:
            check_ref(FolderRef(job_id=job_id, folder=job_id))
            with explained(f"{root.path}/{job_id}", "list"):
                return _names(root, job_id, folder)
        except StorageError as error:
            absent = isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
            return frozenset() if absent else None


def _names(root: LocalRoot, job_id: str, folder: int) -> frozenset[str]:
    job = open_folder(job_id, folder=folder)
    try:
        return frozenset(root.names(job, job_id))
    finally:
        os.close(job)


def statuses_of_job(root: LocalRoot, refs: Sequence[FolderRef]) -> dict[FolderRef, CopyStatus]:
    """The states of backups of one job; raises StorageError where the root cannot be asked."""
    with root.opened() as folder:
        try:
            check_ref(refs[0])
            with explained(root.path / refs[0].job_id, "open the folder"):
                job = open_folder(refs[0].job_id, folder=folder)
        except StorageError as error:
            absent = isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
            return dict.fromkeys(refs, "missing" if absent else "unreachable")
        try:
            return {ref: _status(root, job, ref) for ref in refs}
        finally:
            os.close(job)


def _status(root: LocalRoot, job: int, ref: FolderRef) -> CopyStatus:
    try:
        check_ref(ref)
        return "available" if has_manifest(root, job, ref) else "missing"
    except StorageError:
        return "unreachable"


def has_manifest(root: LocalRoot, job: int, ref: FolderRef) -> bool:
    """Whether a folder inside that of its job is a backup. Raises StorageError."""
    # Text put together, and no path: there may be a hundred thousand.
    with explained(f"{root.path}/{ref.job_id}/{ref.folder}", "look into"):
        try:
            folder = open_folder(ref.folder, folder=job)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            return holds(MANIFEST, folder)
        finally:
            os.close(folder)


def may_have_manifest(root: LocalRoot, job: int, ref: FolderRef) -> bool:
    """Whether a folder inside that of its job is a backup, or nobody can tell."""
    try:
        return has_manifest(root, job, ref)
    except StorageError:
        return True


def holds(name: str, folder: int) -> bool:
    """Whether an open folder has something of this name; raises OSError."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
