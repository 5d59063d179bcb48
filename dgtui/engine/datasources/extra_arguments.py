"""Arguments that a job hands to a dump tool: none may make the dump another one than it is recorded as."""

from collections.abc import Set as AbstractSet

from dgtui.engine.errors import ConfigError

_LEAST_LETTERS = 2
"""So many of a long option a tool needs at least to take it for that one."""


def refuse_arguments(
    tool: str,
    arguments: tuple[str, ...],
    *,
    letters: str,
    options: AbstractSet[str],
    besides: AbstractSet[str] = frozenset(),
) -> None:
    """Raise ConfigError where one of the arguments is ours to set: a short option, or a long one, also cut short.

    `besides` are options of the tool that are the beginning of one of ours, and may be given.
    """
    for argument in arguments:
        if not _is_refused(argument, letters, options, besides):
            continue
        # Whatever follows the name may be a password.
        name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
        raise ConfigError(
            f"The argument {name} cannot be given to {tool}: DataGuardian sets it itself",
            subject=name,
            hint="Remove it from `extra_arguments` of the job; what a backup holds is up to `backup_type` and `tables`",
        )


def _is_refused(argument: str, letters: str, options: AbstractSet[str], besides: AbstractSet[str]) -> bool:
    if not argument.startswith("--"):
        return argument[:1] == "-" and argument[1:2] in set(letters)
    name = argument[2:].partition("=")[0].replace("_", "-").removeprefix("loose-")
    if len(name) < _LEAST_LETTERS:
        return not name
    return name not in besides and any(option.startswith(name) for option in options)
