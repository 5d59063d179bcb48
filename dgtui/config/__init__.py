"""The configuration: TOML files read into datasources, storages and jobs (design.md, "Configuration")."""

from dgtui.config.files import config_path, state_folder
from dgtui.config.guardian import GuardianSettings
from dgtui.config.jobs import PRIVATE_PLACE, JobSettings, unknown_options, wanted_options
from dgtui.config.load import load_config
from dgtui.config.model import Config, Origin, Table, job_id
from dgtui.engine.retention_settings import RetentionSettings

__all__ = [
    "PRIVATE_PLACE",
    "Config",
    "GuardianSettings",
    "JobSettings",
    "Origin",
    "RetentionSettings",
    "Table",
    "config_path",
    "job_id",
    "load_config",
    "state_folder",
    "unknown_options",
    "wanted_options",
]
