"""Reads the configuration's files into one `Config`, or says everything that is wrong with them."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import msgspec

from dgtui.config.channels import REFERENCE_KEYS, ChannelSettings
from dgtui.config.files import ConfigFile, Source, find_files, parse_source, read_source
from dgtui.config.guardian import GuardianSettings
from dgtui.config.jobs import PRIVATE_PLACE, JobSettings, unknown_options
from dgtui.config.kinds import KINDS, settings_of
from dgtui.config.mistakes import Mistake, error_of, one_of, show_path, suggestion
from dgtui.config.model import NAME, NAME_EXPECTED, Config, Origin, Table, job_id
from dgtui.config.tables import TableReader
from dgtui.engine.child import withhold
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.datasources.datasource_settings import DatasourceSettings
from dgtui.engine.storages.base import StorageSettings

StructT = TypeVar("StructT", bound=msgspec.Struct)

_TABLES: tuple[Table, ...] = get_args(Table)
_GUARDIAN = "guardian"


class _Definition(NamedTuple):
    file: ConfigFile
    content: Any

    def origin(self, table: Table, name: str) -> Origin:
        return Origin(file=self.file.path, line=self.file.line((table, name)))


def load_config(path: Path | None = None) -> Config:
    """Read the main file (`path`, else the usual one) and `conf.d/*.toml` beside it.

    No file at all is an empty configuration, unless one was named. Raises ConfigError, which lists all mistakes.
    """
    return config_of(read_sources(path))


class Sources(NamedTuple):
    """The files of a configuration as they were read."""

    main: Path | None
    files: tuple[Source | Mistake, ...]


def read_sources(path: Path | None) -> Sources:
    """Read the files that `load_config` reads. Raises ConfigError where it cannot be told which they are."""
    found = find_files(path)
    files = ([found.main] if found.main else []) + list(found.others)
    return Sources(found.main, tuple(read_source(file) for file in files))


def config_of(sources: Sources) -> Config:
    """The configuration that files hold. Raises ConfigError, which lists all mistakes."""
    results = [parse_source(one) if isinstance(one, Source) else one for one in sources.files]
    mistakes = [result for result in results if isinstance(result, Mistake)]
    loader = _Loader([result for result in results if isinstance(result, ConfigFile)], mistakes)
    config = loader.load(sources.main)
    if mistakes:
        raise error_of(mistakes)
    # Whoever has a configuration runs tools, if only to ask them for their version.
    withhold(config.secret_variables())
    return config


class _Loader:
    def __init__(self, files: Sequence[ConfigFile], mistakes: list[Mistake]) -> None:
        self._files = files
        self._mistakes = mistakes
        self._all_readable = not mistakes
        self._defined: dict[tuple[Table, str], _Definition] = {}
        self._guardian: _Definition | None = None

    def load(self, path: Path | None) -> Config:
        for file in self._files:
            self._collect(file)
        config = Config(
            datasources=self._read("datasources", DatasourceSettings),
            storages=self._read("storages", StorageSettings),
            jobs=self._read("jobs", JobSettings),
            guardian=self._read_guardian(),
            channels=self._read("channels", ChannelSettings),
            path=path,
            files=tuple(file.path for file in self._files),
            origins={key: definition.origin(*key) for key, definition in self._defined.items()},
        )
        # What an unreadable file defines is not known, so that nothing can be said to be missing.
        if self._all_readable:
            self._check_references()
        for name, job in config.jobs.items():
            self._check_options(name, job, config)
            self._check_places(name, job, config)
            self._check_rehearsal(name, job, config)
        self._check_ids(config)
        return config

    def _collect(self, file: ConfigFile) -> None:
        for unknown in file.tables:
            if unknown == _GUARDIAN:
                self._define_guardian(_Definition(file, file.tables[unknown]))
            elif unknown not in _TABLES:
                known = (*_TABLES, _GUARDIAN)
                self._mistakes.append(file.mistake((unknown,), f"unknown table{suggestion(unknown, known)}"))
        for table in _TABLES:
            objects = file.tables.get(table, {})
            if not isinstance(objects, dict):
                self._mistakes.append(file.mistake((table,), f"expected tables such as [{table}.NAME]"))
                continue
            for name, content in objects.items():
                self._define(table, name, _Definition(file, content))

    def _define(self, table: Table, name: str, definition: _Definition) -> None:
        earlier = self._defined.setdefault((table, name), definition)
        if earlier is not definition:
            origin = earlier.origin(table, name)
            place = f"{show_path(origin.file)}:{origin.line}"
            self._report(definition, (table, name), f"this is already defined in {place}")
        elif not NAME.fullmatch(name):
            self._report(definition, (table, name), NAME_EXPECTED)

    def _define_guardian(self, definition: _Definition) -> None:
        if self._guardian is None:
            self._guardian = definition
            return
        first = self._guardian.file
        place = f"{show_path(first.path)}:{first.line((_GUARDIAN,))}"
        self._report(definition, (_GUARDIAN,), f"this is already defined in {place}")

    def _read_guardian(self) -> GuardianSettings:
        definition = self._guardian
        if definition is None:
            return GuardianSettings()
        if not isinstance(definition.content, dict):
            self._report(definition, (_GUARDIAN,), f"expected a table, [{_GUARDIAN}]")
            return GuardianSettings()
        reader = TableReader(definition.file, self._mistakes)
        return reader.read(GuardianSettings, definition.content, (_GUARDIAN,)) or GuardianSettings()

    def _report(self, definition: _Definition, key: tuple[str | int, ...], text: str) -> None:
        self._mistakes.append(definition.file.mistake(key, text))

    def _read(self, table: Table, base: type[StructT]) -> dict[str, StructT]:
        read: dict[str, StructT] = {}
        for (of, name), definition in self._defined.items():
            if of != table:
                continue
            if not isinstance(definition.content, dict):
                self._report(definition, (table, name), f"expected a table, [{table}.{name}]")
                continue
            kind = self._settings_type(table, name, definition)
            if kind is not None:
                settings = TableReader(definition.file, self._mistakes).read(kind, definition.content, (table, name))
                if isinstance(settings, base):
                    read[name] = settings
        return read

    def _settings_type(self, table: Table, name: str, definition: _Definition) -> type[msgspec.Struct] | None:
        if table == "jobs":
            return JobSettings
        allowed = KINDS[table]
        kind = definition.content.get("type")
        if kind is None:
            self._report(definition, (table, name), f"the key 'type' is missing; expected {one_of(allowed)}")
            return None
        if not isinstance(kind, str) or kind not in allowed:
            near = suggestion(kind, allowed) if isinstance(kind, str) else ""
            text = f"expected {one_of(allowed)}" + (near if "did you mean" in near else "")
            self._report(definition, (table, name, "type"), text)
            return None
        return settings_of(table, kind)

    def _check_references(self) -> None:
        """Look at what jobs and channels name, also in those that have other mistakes."""
        for (table, name), definition in self._defined.items():
            if not isinstance(definition.content, dict):
                continue
            if table == "jobs":
                datasource = definition.content.get("datasource")
                self._check_reference(definition, (table, name, "datasource"), "datasources", datasource)
                self._check_list(definition, (table, name, "storages"), "storages")
                place = definition.content.get("rehearse_in")
                if place != PRIVATE_PLACE:
                    self._check_reference(definition, (table, name, "rehearse_in"), "datasources", place)
            elif table == "channels":
                for key in REFERENCE_KEYS:
                    self._check_list(definition, (table, name, key), key)

    def _check_list(self, definition: _Definition, key: tuple[str, str, str], table: Table) -> None:
        named = definition.content.get(key[-1])
        for number, name in enumerate(named if isinstance(named, list) else []):
            self._check_reference(definition, (*key, number), table, name)

    def _check_reference(self, job: _Definition, key: tuple[str | int, ...], table: Table, name: object) -> None:
        if isinstance(name, str) and (table, name) not in self._defined:
            known = [known for of, known in self._defined if of == table]
            self._report(job, key, f"there is no {table.removesuffix('s')} '{name}'{suggestion(name, known)}")

    def _check_options(self, name: str, job: JobSettings, config: Config) -> None:
        """A key that the kind of datasource does not know would be passed over in silence."""
        if job.datasource not in config.datasources:
            return
        adapter = datasource_adapter(config.datasources[job.datasource].type)
        for key in unknown_options(job, adapter.options):
            text = f"a {adapter.label} datasource knows no such thing; remove the key"
            self._report(self._defined["jobs", name], ("jobs", name, key), text)

    def _check_places(self, name: str, job: JobSettings, config: Config) -> None:
        """Two copies in one place are one copy."""
        places = {storage: config.storages[storage].place for storage in job.storages if storage in config.storages}
        for (one, place), (other, same) in combinations(places.items(), 2):
            if place == same:
                text = f"'{one}' and '{other}' are the same place"
                self._report(self._defined["jobs", name], ("jobs", name, "storages"), text)

    def _check_rehearsal(self, name: str, job: JobSettings, config: Config) -> None:
        """A place for rehearsals has to be of the kind that is backed up, and to be there."""
        if job.datasource not in config.datasources or job.rehearse_in is None:
            return
        adapter = datasource_adapter(config.datasources[job.datasource].type)
        place, text = config.datasources.get(job.rehearse_in), None
        if job.rehearse_in == PRIVATE_PLACE:
            if "private_server" not in adapter.options:
                text = f"a {adapter.label} datasource has no private server; name another one, or remove the key"
        elif place is not None and place.type != adapter.kind:
            text = f"'{job.rehearse_in}' is of type '{place.type}'; expected one of type '{adapter.kind}'"
        if text is not None:
            self._report(self._defined["jobs", name], ("jobs", name, "rehearse_in"), text)

    def _check_ids(self, config: Config) -> None:
        seen: dict[str, str] = {}
        for name, job in config.jobs.items():
            first = seen.setdefault(job_id(name, job), name)
            if first != name:
                text = f"the job '{first}' has the same id; their backups would lie in one folder"
                self._report(self._defined["jobs", name], ("jobs", name, "id"), text)
