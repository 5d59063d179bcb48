"""Changes of the configuration that nobody made through this program: noticed by the files' hashes, and written down.

Who edited a file by hand is not known for certain: the audit log names its owner, and when it was changed.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from dgtui.config import config_path
from dgtui.config.files import find_files
from dgtui.engine.audit import HeadNotWritten, append_audit, user_name
from dgtui.engine.catalog import Database
from dgtui.engine.catalog.config_files import known_files, save_files
from dgtui.engine.errors import ConfigError
from dgtui.engine.locks import take_lock
from dgtui.engine.notification_model import Actor

_PATIENCE_SECONDS = 10.0
_GONE = "gone"


class ConfigChanges:
    """Compares the files of one configuration with what they were."""

    def __init__(self, catalog: Database, path: Path | None) -> None:
        """`path` is the main file; the usual one where None."""
        self._catalog = catalog
        self._path = path if path is not None else config_path()

    def notice(self) -> tuple[str, ...]:
        """Write into the audit log what was changed by hand; the files. Raises CatalogError, StorageError, JobBusy.

        A configuration that was never seen before is only remembered.
        """
        files = self._files()
        if known_files(self._catalog, str(self._path)) == files:
            return ()
        with self._lock():
            files, known = self._files(), known_files(self._catalog, str(self._path))
            changed = sorted(path for path in {*files, *known} if files.get(path) != known.get(path))
            untold_head: HeadNotWritten | None = None
            for path in changed if known else ():
                try:
                    self._tell(Path(path), files.get(path, _GONE), known.get(path))
                except HeadNotWritten as error:
                    # The entry is there, and each start would add another one.
                    untold_head = error
            # Only now: whoever is killed in between tells of it twice rather than never.
            save_files(self._catalog, str(self._path), files)
            if untold_head is not None:
                raise untold_head
        return tuple(changed) if known else ()

    @contextlib.contextmanager
    def ours(self) -> Iterator[None]:
        """What is changed meanwhile is changed by this program, which tells of it itself."""
        with contextlib.suppress(HeadNotWritten):
            self.notice()
        with self._lock():
            try:
                yield
            finally:
                save_files(self._catalog, str(self._path), self._files())

    def _files(self) -> dict[str, str]:
        try:
            found = find_files(self._path)
        except ConfigError:
            return {}
        present = {}
        for file in (*([found.main] if found.main else []), *found.others):
            with contextlib.suppress(OSError):
                present[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
        return present

    def _tell(self, file: Path, sha256: str, former: str | None) -> None:
        owner, changed_at = "unknown", None
        with contextlib.suppress(OSError):
            about = file.stat()
            owner, changed_at = user_name(about.st_uid), datetime.fromtimestamp(about.st_mtime, UTC)
        if sha256 == _GONE:
            action = "remove from configuration"
        else:
            action = "add to configuration" if former is None else "change configuration"
        append_audit(
            self._catalog,
            action,
            object_kind="file",
            object_name=str(file),
            outcome="noticed",
            details=(
                "by hand; the user is the owner of the file",
                *([f"changed {changed_at:%Y-%m-%d %H:%M:%S} UTC"] if changed_at is not None else []),
                f"sha256 {sha256}",
            ),
            actor=Actor(user=owner, program="by hand"),
        )

    def _lock(self) -> contextlib.AbstractContextManager[object]:
        path = self._catalog.path.parent / "locks" / "configuration.lock"
        return take_lock(path, purpose="comparing the configuration", patience_seconds=_PATIENCE_SECONDS)
