"""The user's half: Client, views, AsyncResult, dependencies, decorators, executor."""

from tuiparallel.client.client import Client

__all__ = ["Client"]
