"""The tables of the catalogue, as the statements that make what is missing of them.

A column that is added later may be null or has a default: catalogues of an earlier schema get it as they are. Comments
stay outside of the statements, which SQLite keeps as they are and cuts by their commas when it changes a table.
"""

SCHEMA_VERSION = 7
"""Grows with every change of a table; `Database` brings an older catalogue up to date."""

_META = ('CREATE TABLE IF NOT EXISTS meta ("key" VARCHAR NOT NULL PRIMARY KEY, value VARCHAR)',)

_EXECUTIONS = (
    # `alike` is made of the others and of the copies, by the catalogue itself: see alike.py.
    """
    CREATE TABLE IF NOT EXISTS executions (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        execution_id VARCHAR NOT NULL UNIQUE,
        job_id VARCHAR NOT NULL,
        job VARCHAR NOT NULL,
        datasource VARCHAR NOT NULL,
        datasource_type VARCHAR NOT NULL,
        status VARCHAR NOT NULL,
        backup_type VARCHAR NOT NULL,
        started_at VARCHAR NOT NULL,
        finished_at VARCHAR,
        total_size_bytes INTEGER,
        compressed_size_bytes INTEGER,
        checksum VARCHAR,
        folder VARCHAR,
        manifest_sha256 VARCHAR,
        description VARCHAR NOT NULL,
        expires_at VARCHAR,
        warnings VARCHAR NOT NULL,
        problem VARCHAR,
        purpose VARCHAR NOT NULL DEFAULT 'backup',
        protected_until VARCHAR,
        pin VARCHAR,
        alike VARCHAR
    )
    """,
    "CREATE INDEX IF NOT EXISTS executions_of_folder ON executions (job_id, folder)",
    "CREATE INDEX IF NOT EXISTS executions_in_order ON executions (job_id, sequence)",
    "CREATE INDEX IF NOT EXISTS executions_of_job ON executions (job, started_at)",
    "CREATE INDEX IF NOT EXISTS executions_of_datasource ON executions (datasource, started_at)",
    "CREATE INDEX IF NOT EXISTS ix_executions_started_at ON executions (started_at)",
    "CREATE INDEX IF NOT EXISTS ix_executions_status ON executions (status)",
    # Few of many; used where a statement has the purpose as a literal.
    "CREATE INDEX IF NOT EXISTS safety_copies ON executions (datasource) WHERE purpose = 'safety'",
)

_COPIES = (
    """
    CREATE TABLE IF NOT EXISTS copies (
        execution_id VARCHAR NOT NULL,
        storage VARCHAR NOT NULL,
        status VARCHAR NOT NULL,
        path VARCHAR NOT NULL,
        checked_at VARCHAR,
        problem VARCHAR,
        PRIMARY KEY (execution_id, storage)
    )
    """,
    "CREATE INDEX IF NOT EXISTS copies_by_status ON copies (status, storage)",
)

_PAST_EXECUTIONS = (
    # `alike` is made of the others and of the copies, by the catalogue itself: see alike.py.
    """
    CREATE TABLE IF NOT EXISTS past_executions (
        execution_id VARCHAR NOT NULL PRIMARY KEY,
        job_id VARCHAR NOT NULL,
        job VARCHAR NOT NULL,
        datasource VARCHAR NOT NULL,
        datasource_type VARCHAR NOT NULL,
        status VARCHAR NOT NULL,
        backup_type VARCHAR NOT NULL,
        purpose VARCHAR NOT NULL,
        started_at VARCHAR NOT NULL,
        finished_at VARCHAR,
        total_size_bytes INTEGER,
        compressed_size_bytes INTEGER,
        problem_kind VARCHAR,
        removed_at VARCHAR NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS past_executions_by_time ON past_executions (started_at)",
    "CREATE INDEX IF NOT EXISTS past_executions_of_job ON past_executions (job, started_at)",
)

_RESTORES = (
    """
    CREATE TABLE IF NOT EXISTS restores (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        restore_id VARCHAR NOT NULL UNIQUE,
        execution_id VARCHAR NOT NULL,
        status VARCHAR NOT NULL,
        started_at VARCHAR NOT NULL,
        record VARCHAR NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS ix_restores_execution_id ON restores (execution_id)",
    "CREATE INDEX IF NOT EXISTS ix_restores_status ON restores (status)",
)

_PROOFS = (
    """
    CREATE TABLE IF NOT EXISTS proofs (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        proof_id VARCHAR NOT NULL UNIQUE,
        execution_id VARCHAR NOT NULL,
        how VARCHAR NOT NULL,
        outcome VARCHAR NOT NULL,
        proven_at VARCHAR,
        storage VARCHAR,
        place VARCHAR NOT NULL,
        duration_seconds FLOAT,
        rows INTEGER,
        leftover BOOLEAN NOT NULL,
        claim VARCHAR UNIQUE,
        record VARCHAR NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS ix_proofs_execution_id ON proofs (execution_id)",
    "CREATE INDEX IF NOT EXISTS ix_proofs_leftover ON proofs (leftover)",
    "CREATE INDEX IF NOT EXISTS ix_proofs_outcome ON proofs (outcome)",
)

_STORAGES = ("CREATE TABLE IF NOT EXISTS storages (name VARCHAR NOT NULL PRIMARY KEY, marker_id VARCHAR NOT NULL)",)

_REMOVALS = (
    # The `execution_id` of what is no backup is its path.
    """
    CREATE TABLE IF NOT EXISTS removals (
        execution_id VARCHAR NOT NULL,
        storage VARCHAR NOT NULL,
        record VARCHAR NOT NULL,
        PRIMARY KEY (execution_id, storage)
    )
    """,
)

_DUE_RUNS = (
    """
    CREATE TABLE IF NOT EXISTS due_runs (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        job_id VARCHAR NOT NULL,
        job VARCHAR NOT NULL,
        datasource VARCHAR NOT NULL,
        due_at VARCHAR NOT NULL,
        noticed_at VARCHAR NOT NULL,
        state VARCHAR NOT NULL,
        execution_id VARCHAR UNIQUE,
        stopped_execution_id VARCHAR,
        UNIQUE (job_id, due_at)
    )
    """,
    "CREATE INDEX IF NOT EXISTS ix_due_runs_state ON due_runs (state)",
)

_TIMETABLES = tuple(
    f"""
    CREATE TABLE IF NOT EXISTS {name} (
        job_id VARCHAR NOT NULL PRIMARY KEY,
        timetable VARCHAR NOT NULL,
        handled_until VARCHAR NOT NULL
    )
    """
    for name in ("timetables", "rehearsal_timetables")
)

_HEALTH = (
    """
    CREATE TABLE IF NOT EXISTS health_checks (
        sequence INTEGER NOT NULL PRIMARY KEY,
        subject_kind VARCHAR NOT NULL,
        subject VARCHAR NOT NULL,
        checked_at VARCHAR NOT NULL,
        result VARCHAR NOT NULL,
        latency_seconds FLOAT,
        message VARCHAR NOT NULL DEFAULT '',
        hint VARCHAR NOT NULL DEFAULT '',
        concerns VARCHAR,
        figures VARCHAR
    )
    """,
    "CREATE INDEX IF NOT EXISTS health_checks_of_subject ON health_checks (subject_kind, subject, checked_at)",
    "CREATE INDEX IF NOT EXISTS health_checks_by_time ON health_checks (checked_at)",
    # Events are kept in `untold`, in the same transaction as the state, until they are told.
    """
    CREATE TABLE IF NOT EXISTS health_states (
        subject_kind VARCHAR NOT NULL,
        subject VARCHAR NOT NULL,
        status VARCHAR NOT NULL,
        record VARCHAR NOT NULL,
        untold VARCHAR NOT NULL DEFAULT '[]',
        PRIMARY KEY (subject_kind, subject)
    )
    """,
)

_NOTIFICATIONS = (
    # What happened once has an `event`, so that it is stored once, however often it is told. `routed_at` is set once it
    # is decided which channels get it.
    """
    CREATE TABLE IF NOT EXISTS notifications (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        notification_id VARCHAR NOT NULL UNIQUE,
        kind VARCHAR NOT NULL,
        severity VARCHAR NOT NULL,
        subject_kind VARCHAR NOT NULL,
        subject VARCHAR NOT NULL,
        message VARCHAR NOT NULL,
        created_at VARCHAR NOT NULL,
        details VARCHAR NOT NULL,
        related VARCHAR NOT NULL,
        group_key VARCHAR NOT NULL,
        ended_kinds VARCHAR NOT NULL,
        read_at VARCHAR,
        ended_at VARCHAR,
        event VARCHAR UNIQUE,
        routed_at VARCHAR
    )
    """,
    "CREATE INDEX IF NOT EXISTS notifications_of_kind ON notifications (kind, sequence)",
    "CREATE INDEX IF NOT EXISTS notifications_unread ON notifications (read_at, sequence)",
    "CREATE INDEX IF NOT EXISTS notifications_open ON notifications (subject_kind, subject, ended_at)",
    "CREATE INDEX IF NOT EXISTS notifications_unrouted ON notifications (routed_at, sequence)",
)

_DELIVERIES = (
    # Items, each a notification for a channel, wait until they become part of a delivery, the message that is sent.
    # `handed_over_at` is set before the step after which the receiver may have it; `recipients` are those who are still
    # to get it, where others have it, and null where nobody has it yet.
    """
    CREATE TABLE IF NOT EXISTS deliveries (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        delivery_id VARCHAR NOT NULL UNIQUE,
        channel VARCHAR NOT NULL,
        status VARCHAR NOT NULL,
        group_key VARCHAR NOT NULL,
        created_at VARCHAR NOT NULL,
        attempts INTEGER NOT NULL,
        next_try_at VARCHAR,
        sent_at VARCHAR,
        problem VARCHAR,
        handed_over_at VARCHAR,
        recipients VARCHAR
    )
    """,
    "CREATE INDEX IF NOT EXISTS deliveries_of_channel ON deliveries (channel, status)",
    "CREATE INDEX IF NOT EXISTS deliveries_of_group ON deliveries (channel, group_key, sent_at)",
    "CREATE INDEX IF NOT EXISTS deliveries_of_status ON deliveries (status)",
    """
    CREATE TABLE IF NOT EXISTS delivery_items (
        item INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        notification_id VARCHAR NOT NULL,
        channel VARCHAR NOT NULL,
        reminder INTEGER NOT NULL,
        created_at VARCHAR NOT NULL,
        delivery_id VARCHAR,
        UNIQUE (notification_id, channel, reminder)
    )
    """,
    "CREATE INDEX IF NOT EXISTS delivery_items_waiting ON delivery_items (delivery_id, channel)",
)

_AUDIT = (
    """
    CREATE TABLE IF NOT EXISTS audit (
        number INTEGER NOT NULL PRIMARY KEY,
        at VARCHAR NOT NULL,
        user VARCHAR NOT NULL,
        origin VARCHAR NOT NULL,
        program VARCHAR NOT NULL,
        action VARCHAR NOT NULL,
        object_kind VARCHAR NOT NULL,
        object_name VARCHAR NOT NULL,
        outcome VARCHAR NOT NULL,
        details VARCHAR NOT NULL,
        previous VARCHAR NOT NULL,
        hash VARCHAR NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS ix_audit_at ON audit (at)",
    *(
        f"""
        CREATE TRIGGER IF NOT EXISTS audit_refuses_{change.lower()} BEFORE {change} ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END
        """
        for change in ("UPDATE", "DELETE")
    ),
)

_CONFIG_FILES = (
    # One state folder may serve several configurations.
    """
    CREATE TABLE IF NOT EXISTS config_files (
        main VARCHAR NOT NULL,
        path VARCHAR NOT NULL,
        sha256 VARCHAR NOT NULL,
        PRIMARY KEY (main, path)
    )
    """,
)

TABLES = (
    *_META,
    *_EXECUTIONS,
    *_COPIES,
    *_PAST_EXECUTIONS,
    *_RESTORES,
    *_PROOFS,
    *_STORAGES,
    *_REMOVALS,
    *_DUE_RUNS,
    *_TIMETABLES,
    *_HEALTH,
    *_NOTIFICATIONS,
    *_DELIVERIES,
    *_AUDIT,
    *_CONFIG_FILES,
)
