"""In which order an archive is loaded in parallel, and how its tables are shared out among the processes."""

import pytest

from dgtui.engine.datasources.postgres_parallel import in_steps, shared_out
from dgtui.engine.datasources.postgres_toc import TocEntry


def table(number: int) -> TocEntry:
    return TocEntry(number, "TABLE DATA", "public", f"t{number}", "", "", "", ())


@pytest.mark.parametrize(
    ("sizes", "jobs", "shares"),
    [
        ([900_000, 100_000, 500_000, 300_000], 2, [[1], [2, 3, 4]]),
        ([100_000, 900_000, 500_000], 2, [[2], [1, 3]]),
        ([100_000, 200_000, 900_000], 2, [[1, 2], [3]]),
        ([100_000, 200_000], 4, [[1], [2]]),
        ([0, 0, 0, 0], 2, [[1, 3], [2, 4]]),
        ([], 4, []),
    ],
)
def test_about_one_size_in_the_order_of_the_archive(sizes: list[int], jobs: int, shares: list[list[int]]) -> None:
    entries = [table(number) for number in range(1, len(sizes) + 1)]
    known = {f"public.t{number}": size for number, size in enumerate(sizes, 1)}
    found = shared_out(entries, known, jobs)
    assert [[entry.dump_id for entry in share] for share in found] == shares


def test_rows_come_after_what_they_go_into_and_before_what_may_forbid_them() -> None:
    made = {
        kind: TocEntry(number, kind, "public", "t", "", "", "", (), section=section)
        for number, (kind, section) in enumerate(
            [("ENCODING", 2), ("TABLE", 2), ("ACL", 1), ("BLOB METADATA", 3), ("TABLE DATA", 3), ("BLOBS", 3),
             ("SEQUENCE SET", 3), ("INDEX", 4), ("MATERIALIZED VIEW DATA", 4), ("COMMENT", 1)], 1,
        )
    }  # fmt: skip
    before, filled, after = in_steps(made.values(), rows=True)
    assert [entry.kind for entry in before] == ["ENCODING", "TABLE", "BLOB METADATA"]
    assert [entry.kind for entry in filled] == ["TABLE DATA", "BLOBS"]
    assert [entry.kind for entry in after] == ["ACL", "SEQUENCE SET", "INDEX", "MATERIALIZED VIEW DATA", "COMMENT"]
    assert in_steps(made.values(), rows=False).filled == []
