"""What the hub says of one task: state, why it waits, on what, and that foreign names are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import PATIENCE

if TYPE_CHECKING:
    from tuiparallel.client.client import Client


def test_a_waiting_task_says_why_and_on_what(client: Client) -> None:
    slow = client[0].apply_async(lambda: __import__("threading").Event().wait(2.0))
    view = client.load_balanced_view()
    with view.temp_flags(after=slow):
        waiting = view.apply_async(abs, -1)
    facts = client.task_facts(waiting.msg_ids[0])
    assert facts["state"] == "queued" and facts["engine"] is None and facts["attempt"] == 1
    assert facts["why"] == "waits for 1 task it depends on"
    assert facts["after"] == slow.msg_ids and facts["follow"] == [] and facts["attempts"] == []
    assert waiting.get(PATIENCE) == 1
    done = client.task_facts(waiting.msg_ids[0], timeout=PATIENCE)
    assert done["state"] == "done" and done["why"] == "" and done["engine"] in client.ids


def test_what_is_no_task_is_said(client: Client) -> None:
    with pytest.raises(ValueError, match="not a msg_id"):
        client.task_facts("seven")
    with pytest.raises(KeyError, match="no such task"):
        client.task_facts("0123456789abcdef-5")
