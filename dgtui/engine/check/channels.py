"""Whether notifications would find their way: secrets, servers, certificates and logins; nothing is sent."""

from dgtui.config import Config
from dgtui.engine.check.finding import Finding, finding_of
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.notify.channels import try_channel

_SECONDS = 10.0


def examine_channel(config: Config, name: str) -> Finding:
    """Go to a channel's server and come back."""
    settings = config.channel(name)
    if not settings.enabled:
        return Finding(area="channel", subject=name, level="warning", message="is switched off", mend="enabled = true")
    try:
        place = try_channel(name, settings, seconds=_SECONDS)
    except DataGuardianError as error:
        return finding_of("channel", name, error)
    return Finding(
        area="channel", subject=name, level="ok", message=f"{place}; try it with: dgtui notify --test {name}"
    )
