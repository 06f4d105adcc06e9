"""The console, on the cluster that is meant or on a new one; the only verbs that import Textual."""

from __future__ import annotations

