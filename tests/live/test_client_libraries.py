"""joblib and IPython as they are, on a real cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import joblib
import pytest

from tuiparallel.client.client import Client
from tuiparallel.cluster.cluster import Cluster

pytestmark = pytest.mark.live


def _failing(number: int) -> float:
    return 1 / (number - 3)


def test_joblib_runs_on_the_cluster(rc: Client) -> None:
    view = rc.load_balanced_view()
    view.register_joblib_backend("of-this-view")
    with joblib.parallel_config("of-this-view"):
        assert joblib.Parallel()(joblib.delayed(pow)(n, 2) for n in range(50)) == [n * n for n in range(50)]
        where = set(joblib.Parallel(n_jobs=-1)(joblib.delayed(os.getpid)() for _ in range(40)))
        with pytest.raises(ZeroDivisionError):
            joblib.Parallel()(joblib.delayed(_failing)(n) for n in range(6))
    assert os.getpid() not in where and where <= set(rc[:].apply_sync(os.getpid))
    assert len(view.history) > 0


SESSION = """
import sys
from traitlets.config import Config
from IPython.terminal.interactiveshell import TerminalInteractiveShell
config = Config()
config.HistoryManager.enabled = False
config.TerminalInteractiveShell.simple_prompt = True
config.TerminalInteractiveShell.colors = "nocolor"
shell = TerminalInteractiveShell.instance(config=config)
shell.run_cell("import tuiparallel")
shell.run_cell("%load_ext tuiparallel")
shell.run_cell("%px a = 40")
shell.run_cell("%%px --targets 0\\nb = a + 2\\nprint('b is', b)")
shell.run_cell("%px 1 / 0")
shell.run_cell("%autopx")
shell.run_cell("print('on', a)")
shell.run_cell("%autopx")
shell.run_cell("print('here', 'a' in globals())")
shell.run_cell("%px --noblock print('later')")
shell.run_cell("%pxresult")
"""


def test_ipython_has_the_magics(cluster: Cluster, rc: Client, tmp_path: Path) -> None:
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "TUIPAR_CLUSTER": cluster.name, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SESSION], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    text = done.stdout
    assert done.returncode == 0, done.stderr
    assert "b is 42" in text and "[stdout:0]" in text
    assert "ZeroDivisionError" in text
    assert text.count("on 40") == len(rc.ids)
    assert "here False" in text
    assert text.count("later") >= len(rc.ids)
    assert rc[0]["b"] == 42
