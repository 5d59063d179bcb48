"""What a restore keeps and what it left, as its record says it, and the commands that bring it to a clean end."""

from collections.abc import Sequence

from dgtui.engine.restore_model import Restore


def kept_name(restore: Restore) -> str | None:
    """The name under which a restore keeps what it replaced, all of the target or a part of it."""
    return restore.kept_as or restore.part_kept_as


def undone_by(restore: Restore, restores: Sequence[Restore]) -> Restore | None:
    """The one among them that took it back and was not taken back itself."""
    for other in restores:
        if other.undo_of == restore.restore_id and other.took_effect:
            return other if undone_by(other, restores) is None else None
    return None


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
