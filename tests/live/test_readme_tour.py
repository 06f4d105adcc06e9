"""The README's tour, run as a script: what it prints is what its comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import tuiparallel

README = Path(tuiparallel.__file__).parents[1] / "README.md"


def test_the_tour_prints_what_its_comments_say(empty_home: Path, tmp_path: Path) -> None:
    [script] = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    expected = [line.split("# -> ", 1)[1].strip() for line in script.splitlines() if "# -> " in line]
    file = tmp_path / "tour.py"
    file.write_text(script)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == expected, done.stderr
    assert not done.stderr
