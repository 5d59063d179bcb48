"""The configuration as the engine uses it."""

import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from dgtui.config.channels import ChannelSettings
from dgtui.config.guardian import GuardianSettings
from dgtui.config.jobs import JobSettings
from dgtui.config.mistakes import suggestion
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.datasource_settings import DatasourceSettings
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import Record
from dgtui.engine.secrets import fetch_secret
from dgtui.engine.settings import SecretReference
from dgtui.engine.storages import storage_adapter
from dgtui.engine.storages.base import Storage, StorageSettings

Table = Literal["datasources", "storages", "jobs", "channels"]
SettingsT = TypeVar("SettingsT", DatasourceSettings, StorageSettings, JobSettings, ChannelSettings)

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
NAME_EXPECTED = "expected a name of at most 100 ASCII letters, digits, '_', '-' and '.', not beginning with '-' or '.'"
"""Names of objects are folders and files too, on every system."""

_JOB_IDS = uuid.UUID("4ccf199f-e97b-4aa3-8b44-d583eda22f5f")
"""Never changes: the folders of every job without an `id` are named after it."""


class Origin(Record, frozen=True):
    """Where an object is defined."""

    file: Path
    line: int


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All that is configured; names are unique within their table."""

    datasources: Mapping[str, DatasourceSettings] = {}
    storages: Mapping[str, StorageSettings] = {}
    jobs: Mapping[str, JobSettings] = {}
    guardian: GuardianSettings = GuardianSettings()
    channels: Mapping[str, ChannelSettings] = {}
    path: Path | None = None
    """The main file; None where there is none."""
    files: tuple[Path, ...] = ()
    """The files that were read, in this order."""
    kept: Path | None = None
    """The copy of them by which workers go too, whatever becomes of the files; None where they go by the files."""
    origins: Mapping[tuple[Table, str], Origin] = {}

    def origin(self, table: Table, name: str) -> Origin:
        """Where an object is defined; raises ConfigError where there is none of this name."""
        known: Mapping[str, object] = getattr(self, table)
        if name not in known:
            raise self._unknown(table, name)
        return self.origins[table, name]

    def job(self, name: str) -> JobSettings:
        """The settings of a job; raises ConfigError where there is none of this name."""
        return self._named("jobs", self.jobs, name)

    def job_id(self, name: str) -> str:
        """The UUID in the job's `id`, else one made from its name, which need not be configured."""
        return job_id(name, self.jobs.get(name))

    def place_of_storage(self, name: str) -> tuple[int, str]:
        """Sorts storages as their copies are tried: in the order of the configuration, those it has no more last."""
        places = {known: place for place, known in enumerate(self.storages)}
        return places.get(name, len(places)), name

    def is_followed(self, name: str) -> bool:
        """Whether a job's timetable is followed and its backups are waited for: it and its datasource are on."""
        job = self.job(name)
        return job.enabled and self.require_datasource(job.datasource).enabled

    def datasource_options(self, name: str) -> frozenset[str]:
        """The options that the datasource's kind knows of; raises ConfigError where there is none of this name."""
        return datasource_adapter(self.require_datasource(name).type).options

    def loads_data(self, name: str) -> bool:
        """Whether rows alone can be loaded into tables of a datasource; raises ConfigError where there is none."""
        return datasource_adapter(self.require_datasource(name).type).loads_data

    def datasources_of(self, kind: str) -> list[str]:
        """The names of the datasources of a kind."""
        return [name for name, settings in self.datasources.items() if settings.type == kind]

    def require_datasource(self, name: str) -> DatasourceSettings:
        """The settings of a datasource; raises ConfigError where there is none of this name."""
        return self._named("datasources", self.datasources, name)

    def require_storage(self, name: str) -> StorageSettings:
        """The settings of a storage; raises ConfigError where there is none of this name."""
        return self._named("storages", self.storages, name)

    def channel(self, name: str) -> ChannelSettings:
        """The settings of a channel; raises ConfigError where there is none of this name."""
        return self._named("channels", self.channels, name)

    def secret_variables(self) -> dict[str, tuple[str, ...]]:
        """The variables of the environment that hold secrets, each with the keys that name it."""
        found: dict[str, tuple[str, ...]] = {}
        for key, secret in self._references():
            if secret.env is not None:
                found[secret.env] = (*found.get(secret.env, ()), key)
        return found

    def secret_files(self) -> frozenset[Path]:
        """The files that hold secrets."""
        return frozenset(Path(secret.file) for _, secret in self._references() if secret.file is not None)

    def _references(self) -> Iterator[tuple[str, SecretReference]]:
        """Where secrets are, each with the key that says so."""
        tables: tuple[tuple[Table, Mapping[str, object]], ...] = (
            ("datasources", self.datasources),
            ("storages", self.storages),
            ("jobs", self.jobs),
            ("channels", self.channels),
        )
        for table, objects in tables:
            for name, settings in objects.items():
                for key in getattr(settings, "__struct_fields__", ()):
                    secret = getattr(settings, key)
                    if isinstance(secret, SecretReference):
                        yield f"{table}.{name}.{key}", secret

    def datasource(self, name: str) -> Datasource[Any]:
        """The adapter of a datasource, with its secret fetched now.

        Raises ConfigError where there is none of this name or its secret cannot be had.
        """
        settings = self.require_datasource(name)
        secret = getattr(settings, "password", None)
        password = None if secret is None else fetch_secret(secret, subject=f"datasources.{name}.password")
        return datasource_adapter(settings.type)(name, settings, password)

    def storage(self, name: str) -> Storage[Any]:
        """The adapter of a storage; raises ConfigError where there is none of this name."""
        settings = self.require_storage(name)
        return storage_adapter(settings.type)(name, settings)

    def _named(self, table: Table, settings: Mapping[str, SettingsT], name: str) -> SettingsT:
        if name not in settings:
            raise self._unknown(table, name)
        return settings[name]

    def _unknown(self, table: Table, name: str) -> ConfigError:
        known: Mapping[str, object] = getattr(self, table)
        return ConfigError(
            f"there is no {table.removesuffix('s')} '{name}'{suggestion(name, known)}",
            subject=name,
            hint="dgtui check shows what is configured" if known else f"Write [{table}.{name}] in the configuration",
        )


def job_id(name: str, settings: JobSettings | None) -> str:
    """The UUID in a job's `id`, else one made from its name."""
    given = settings.id if settings is not None else None
    return str(uuid.UUID(given) if given is not None else uuid.uuid5(_JOB_IDS, name))
