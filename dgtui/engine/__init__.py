"""Everything that works without a screen; `Engine` is the only door that screens and commands use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine as Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> object:
    """Load `Engine` on first use: the catalogue behind it costs 0.3 s that `--help` must not pay."""
    if name == "Engine":
        from dgtui.engine.facade import Engine

        return Engine
    raise AttributeError(name)
