"""`check`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from dgtui.cli.options import AsJson
from dgtui.cli.output import print_data, print_json, say
from dgtui.engine.errors import ERRORS_BY_KIND, EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from dgtui.wording.states import Mark
from dgtui.wording.terminal import Look, look_of
from dgtui.wording.words import one_line

if TYPE_CHECKING:
    from dgtui.engine.check import Finding

_MARKS = {
    "ok": Mark("✔", "+", "good"),
    "warning": Mark("▲", "!", "warning"),
    "error": Mark("✖", "x", "bad"),
}


def check(as_json: AsJson = False) -> None:
    """Examine the configuration, and say what mends it."""
    from dgtui.cli.watch import open_engine

    with open_engine(look_only=True) as engine:
        findings = engine.check()
    if as_json:
        print_json(findings)
    else:
        for line in finding_lines(findings, look_of(sys.stdout)):
            print_data(line)
        say(_verdict(findings))
    raise typer.Exit(exit_code_of_findings(findings))


def finding_lines(findings: "Sequence[Finding]", look: Look) -> list[str]:
    """A line for each thing that was examined, and below it the step that mends it."""
    places = [f"{finding.area} {one_line(finding.subject)}" for finding in findings]
    widest = max(map(len, places), default=0)
    lines = []
    for place, finding in zip(places, findings, strict=True):
        mark = f"{_MARKS[finding.level].shown(look)} {finding.level:<7}"
        lines.append(f"{mark}  {place:<{widest}}  {one_line(finding.message)}")
        lines += [f"           > {one_line(line)}" for line in finding.mend.splitlines()]
    return lines


def _verdict(findings: "Sequence[Finding]") -> str:
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if not errors and not warnings:
        return "All is well"
    return f"{errors} to mend, {warnings} to know of"


def exit_code_of_findings(findings: "Sequence[Finding]") -> int:
    """0 where nothing is to mend, 2 where all of it is configuration, else 1."""
    codes = {
        ERRORS_BY_KIND[finding.kind].exit_code if finding.kind in ERRORS_BY_KIND else EXIT_FAILED
        for finding in findings
        if finding.level == "error"
    }
    if not codes:
        return EXIT_DONE
    return EXIT_USAGE if codes == {EXIT_USAGE} else EXIT_FAILED
