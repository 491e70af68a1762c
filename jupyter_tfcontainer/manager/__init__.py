"""What may be asked of everything. One manager per process, behind every door."""

from .manager import ContainerManager

__all__ = ["ContainerManager"]
