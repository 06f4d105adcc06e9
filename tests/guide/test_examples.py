"""How a page is read: which blocks are examples, and when what they print is what the page says."""

from __future__ import annotations

import pytest

from tests.guide.examples import Example, agrees, examples_of

PAGE = """# Title

```python
print(1)
```

```text
1
```

```python
print(2)    # -> 2
x = 3
print(x, "")  # -> 3
```

```console
$ echo a
a
$ true
```

```toml
n = 4
```
"""


def test_blocks_become_examples() -> None:
    assert examples_of(PAGE) == [
        Example("python", 4, "print(1)\n", ["1"]),
        Example("python", 12, 'print(2)    # -> 2\nx = 3\nprint(x, "")  # -> 3\n', ["2", "3"]),
        Example("console", 18, "echo a", ["a"]),
        Example("console", 20, "true", []),
    ]


@pytest.mark.parametrize("page", ["```text\na\n```", "```python\n1  # -> 1\n```\n```text\n1\n```", "```\na\n```"])
def test_output_of_nothing_is_an_error(page: str) -> None:
    with pytest.raises(ValueError):
        examples_of(page)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ([], "", True),
        ([], "a\n", False),
        (["a"], "a\n", True),
        (["a"], "a  \n", True),
        (["a"], "b\n", False),
        (["a", "b"], "a\n", False),
        (["pid ..."], "pid 812\n", True),
        (["[1.5]"], "[1x5]\n", False),
        (["a", "...", "z"], "a\nb\nc\nz\n", True),
        (["a ..."], "b 1\n", False),
    ],
)
def test_printed_and_expected(expected: list[str], printed: str, same: bool) -> None:
    assert agrees(expected, printed) == same
