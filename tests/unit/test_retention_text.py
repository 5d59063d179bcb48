"""Why a backup stays, in words."""

from datetime import UTC, datetime

from dgtui.engine.retention import Verdict
from dgtui.wording.retention_text import keep_text, keep_texts

NOW = datetime(2025, 2, 13, 12, tzinfo=UTC)


def verdict(storage: str, **more: object) -> Verdict:
    known = {"execution_id": "1", "job_id": "2", "job": "nightly", "datasource": "shop", "folder": "f", "path": "/f"}
    end = {"expires_at": datetime(2025, 10, 12, 12, tzinfo=UTC), "expiry": "known"}
    return Verdict(**known, storage=storage, taken_at=NOW, bytes=4_200_000_000, **{**end, **more})  # type: ignore[arg-type]


def test_the_same_reason_at_several_storages_is_told_once() -> None:
    disk, nas = verdict("disk", kept_by=("weekly",)), verdict("nas", kept_by=("weekly",))
    one = "weekly; would go on 12 Oct; frees 4.2 GB on "
    assert keep_text(disk, NOW) == one + "disk"
    assert keep_texts([disk, nas], NOW) == [one + "disk, 4.2 GB on nas"]
    other = verdict("s3", kept_by=("last",), expiry="never")
    assert keep_texts([disk, other, nas, other], NOW) == [one + "disk, 4.2 GB on nas", "last; stays"]
