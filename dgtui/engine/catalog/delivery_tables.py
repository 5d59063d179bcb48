"""The tables of what is sent through channels: items, each a notification for a channel, and the messages made of them.

An item waits until it becomes part of a delivery, the message that is sent.
"""

import sqlalchemy as sa

from dgtui.engine.catalog.tables import metadata

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("delivery_id", sa.String, nullable=False, unique=True),
    sa.Column("channel", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("group_key", sa.String, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_try_at", sa.String),
    sa.Column("sent_at", sa.String),
    sa.Column("problem", sa.String),
    # Set before the step after which the receiver may have it.
    sa.Column("handed_over_at", sa.String),
    # Those who are still to get it, where others have it; null where nobody has it yet.
    sa.Column("recipients", sa.String),
    sa.Index("deliveries_of_channel", "channel", "status"),
    sa.Index("deliveries_of_group", "channel", "group_key", "sent_at"),
    sa.Index("deliveries_of_status", "status"),
    sqlite_autoincrement=True,
)
delivery_items = sa.Table(
    "delivery_items",
    metadata,
    sa.Column("item", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("notification_id", sa.String, nullable=False),
    sa.Column("channel", sa.String, nullable=False),
    sa.Column("reminder", sa.Integer, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("delivery_id", sa.String),
    sa.UniqueConstraint("notification_id", "channel", "reminder"),
    sa.Index("delivery_items_waiting", "delivery_id", "channel"),
    sqlite_autoincrement=True,
)
