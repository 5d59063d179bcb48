"""DataGuardian: back up databases and file trees, and get them back."""

__version__ = "0.1.0"
