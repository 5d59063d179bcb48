"""Notices that something was changed, once it stays as it is from one look to the next."""

from collections.abc import Callable
from typing import Generic, TypeVar

LookT = TypeVar("LookT")


class SettledWatch(Generic[LookT]):
    """Compares looks at something; what is being changed is left alone until it is not any more."""

    def __init__(self, look: Callable[[], LookT]) -> None:
        """`look` gives what two moments are compared by."""
        self._look = look
        self._taken = self._looked = look()

    def changed(self) -> bool:
        """Whether anything was changed since this was last so, or since it was taken, and nothing is any more."""
        former, self._looked = self._looked, self._look()
        if self._looked == self._taken or self._looked != former:
            return False
        self._taken = self._looked
        return True

    def take(self) -> None:
        """What is there now is taken up, whether it is still being changed or not."""
        self._taken = self._looked = self._look()
