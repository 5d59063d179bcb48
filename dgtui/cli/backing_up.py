"""`run` and `backup`."""

from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.options import DataOnly, MessagesAsJson, SchemaOnly, refuse_both
from dgtui.engine.errors import ConfigError

if TYPE_CHECKING:
    from dgtui.config import JobSettings

Job = Annotated[str, typer.Argument(metavar="NAME", help="Name of the job.", show_default=False)]
Description = Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.", show_default=False)]


def run(name: Job, description: Description = "", as_json: MessagesAsJson = False) -> None:
    """Back up as a job of the configuration says."""
    from dgtui.cli.run_job import run_job

    raise typer.Exit(run_job(name, as_json=as_json, description=description))


def backup(
    datasource: Annotated[str, typer.Argument(metavar="DATASOURCE", help="What to back up.", show_default=False)],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="STORAGE", help="Where to; may be given several times.", show_default=False),
    ] = None,
    schema_only: SchemaOnly = False,
    data_only: DataOnly = False,
    compression: Annotated[
        str | None,
        typer.Option("--compression", metavar="CODEC", help="zstd, zstd:3, gzip:6, lz4 or none.", show_default=False),
    ] = None,
    description: Description = "",
    as_json: MessagesAsJson = False,
) -> None:
    """Back up a datasource once, without a job."""
    from dgtui.cli.watch import start_and_watch
    from dgtui.engine.backup_start import BackupDoor

    refuse_both(schema_only, "--schema-only", data_only, "--data-only")
    backups = BackupDoor.open()
    if not to:
        known = ", ".join(backups.config.storages) or "none yet"
        raise ConfigError("No storage is named", hint=f"Name one with --to; there is: {known}")
    job = _job_settings(datasource, to, schema_only=schema_only, data_only=data_only, compression=compression)

    def start() -> str:
        return backups.start_backup(job, description=description)

    raise typer.Exit(start_and_watch(backups, start, as_json=as_json))


def _job_settings(
    datasource: str, storages: list[str], *, schema_only: bool, data_only: bool, compression: str | None
) -> "JobSettings":
    from dgtui.config import JobSettings
    from dgtui.engine.settings import DEFAULT_COMPRESSION, Compression

    try:
        packing = DEFAULT_COMPRESSION if compression is None else Compression.parse(compression)
    except ValueError as error:
        raise ConfigError(f"--compression {compression}: {error}", hint="For example: --compression zstd:3") from None
    return JobSettings(
        datasource=datasource,
        storages=tuple(dict.fromkeys(storages)),
        backup_type="schema_only" if schema_only else "data_only" if data_only else "full",
        compression=packing,
    )
