"""Conditions that many statements share."""

from dgtui.engine.catalog.statements import words
from dgtui.engine.model import RESTORABLE

IS_RESTORABLE = f"status IN {words(RESTORABLE)}"
IS_RESTORABLE_UNINDEXED = f"status || '' IN {words(RESTORABLE)}"
"""The same, not searched by: almost all executions are restorable, and what stands beside it names few."""
IS_SAFETY_COPY = "purpose = 'safety'"
"""In the words that the index of safety copies is found by."""
IS_OF_DATASOURCE_WITH_SAFETY_COPIES = (
    f"datasource IN (SELECT DISTINCT datasource FROM executions WHERE {IS_SAFETY_COPY})"
)
