"""What a restore keeps and what it left, as its record says it, and the commands that bring it to a clean end."""

from dgtui.engine.model import Restore


def kept_name(restore: Restore) -> str | None:
    """The name under which a restore keeps what it replaced, all of the target or a part of it."""
    return restore.kept_as or restore.part_kept_as


def left_behind(restore: Restore) -> tuple[str, ...]:
    """The names that an interrupted restore left beside its target."""
    placing = restore.placing
    if placing is None:
        return ()
    return tuple(name for name in (placing.beside, placing.like, placing.keep_as) if name is not None)


def cleanup_command(restore: Restore) -> str:
    """The command that brings an interrupted restore to a clean end."""
    return f"dgtui cleanup-restore {restore.restore_id[:8]}"


def finish_command(restore: Restore) -> str:
    """The command that imports the backup once more, to its end."""
    return f"dgtui cleanup-restore {restore.restore_id[:8]} --finish"
