"""The tables of the catalogue.

A column that is added later is nullable or has a `server_default`: catalogues of an earlier schema get it as they are.
"""

import sqlalchemy as sa

SCHEMA_VERSION = 7
"""Grows with every change of a table; `Database` brings an older catalogue up to date."""

metadata = sa.MetaData()

meta = sa.Table("meta", metadata, sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.String))

executions = sa.Table(
    "executions",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("execution_id", sa.String, nullable=False, unique=True),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("job", sa.String, nullable=False),
    sa.Column("datasource", sa.String, nullable=False),
    sa.Column("datasource_type", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("backup_type", sa.String, nullable=False),
    sa.Column("started_at", sa.String, nullable=False, index=True),
    sa.Column("finished_at", sa.String),
    sa.Column("total_size_bytes", sa.Integer),
    sa.Column("compressed_size_bytes", sa.Integer),
    sa.Column("checksum", sa.String),
    sa.Column("folder", sa.String),
    sa.Column("manifest_sha256", sa.String),
    sa.Column("description", sa.String, nullable=False, default=""),
    sa.Column("expires_at", sa.String),
    sa.Column("warnings", sa.String, nullable=False, default="[]"),
    sa.Column("problem", sa.String),
    sa.Column("purpose", sa.String, nullable=False, server_default="backup"),
    sa.Column("protected_until", sa.String),
    sa.Column("pin", sa.String),
    # Made of the others and of the copies, by the catalogue itself: see alike.py.
    sa.Column("alike", sa.String),
    sa.Index("executions_of_folder", "job_id", "folder"),
    sa.Index("executions_in_order", "job_id", "sequence"),
    sa.Index("executions_of_job", "job", "started_at"),
    sa.Index("executions_of_datasource", "datasource", "started_at"),
    # Few of many; used where a statement has the purpose as a literal.
    sa.Index("safety_copies", "datasource", sqlite_where=sa.text("purpose = 'safety'")),
    sqlite_autoincrement=True,
)

copies = sa.Table(
    "copies",
    metadata,
    sa.Column("execution_id", sa.String, primary_key=True),
    sa.Column("storage", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("checked_at", sa.String),
    sa.Column("problem", sa.String),
    sa.Index("copies_by_status", "status", "storage"),
)

restores = sa.Table(
    "restores",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("restore_id", sa.String, nullable=False, unique=True),
    sa.Column("execution_id", sa.String, nullable=False, index=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("record", sa.String, nullable=False),
    sqlite_autoincrement=True,
)

storages = sa.Table(
    "storages",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("marker_id", sa.String, nullable=False),
)
