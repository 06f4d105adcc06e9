"""%px, %%px, %autopx, %pxconfig and %pxresult for IPython, which stays optional: only its shell object is used."""

from __future__ import annotations

import argparse
import ast
import shlex
import sys
from typing import TYPE_CHECKING, Any

from tuiparallel.client.asyncresult import AsyncResult
from tuiparallel.errors import RemoteError

if TYPE_CHECKING:
    from tuiparallel.client.directview import DirectView


class _Parser(argparse.ArgumentParser):
    """Errors are the user's to read; no magic may end the shell."""

    def error(self, message: str) -> Any:
        raise ValueError(f"{self.prog}: {message}")


def _parser(prog: str) -> _Parser:
    parser = _Parser(prog=prog, add_help=False)
    blocking = parser.add_mutually_exclusive_group()
    blocking.add_argument("--block", dest="block", action="store_true", default=None)
    blocking.add_argument("-a", "--noblock", dest="block", action="store_false", default=None)
    parser.add_argument("-t", "--targets")
    parser.add_argument("-l", "--local", action="store_true")
    parser.add_argument("-v", "--verbose", dest="verbose", action="store_true", default=None)
    parser.add_argument("--no-verbose", dest="verbose", action="store_false", default=None)
    parser.add_argument("-o", "--out", dest="save_name")
    parser.add_argument("-e", "--group-outputs", dest="groupby", choices=("type", "order", "engine"))
    parser.add_argument("--stream", dest="stream", action="store_true", default=None)
    parser.add_argument("--no-stream", dest="stream", action="store_false", default=None)
    parser.add_argument("--progress-after", type=float)
    parser.add_argument("--signal-on-interrupt", nargs="?", const="SIGINT")
    return parser


class Magics:
    """The magics of one view, with a suffix at their names."""

    def __init__(self, shell: Any, view: DirectView, suffix: str) -> None:
        self.shell = shell
        self.view = view
        self.suffix = suffix
        self.verbose = False
        self.groupby = "type"
        self.stream = True
        self.signal: str | None = "SIGINT"
        self.last: AsyncResult | None = None
        self._original: Any = None  # run_cell, while %autopx is on

    def register(self) -> None:
        """Make the shell know the magics, under their names and the suffix.
        Returns None.
        Raises nothing of its own.
        """
        shell, suffix = self.shell, self.suffix
        shell.register_magic_function(self.px, "line", f"px{suffix}")
        shell.register_magic_function(self.cell_px, "cell", f"px{suffix}")
        shell.register_magic_function(self.autopx, "line", f"autopx{suffix}")
        shell.register_magic_function(self.pxconfig, "line", f"pxconfig{suffix}")
        shell.register_magic_function(self.pxresult, "line", f"pxresult{suffix}")

    def px(self, line: str) -> Any:
        """%px [options] code: run one line on the engines, as %px of ipyparallel.

        line: what stands behind %px. Options: --block or -a/--noblock; -t/--targets 0,2 or ::2 or all; -l/--local
        (also here); -o/--out NAME (keep the AsyncResult under this name); -e/--group-outputs type, order or engine;
        --stream, --no-stream; -v/--verbose; --progress-after SECONDS (seconds until a progress bar);
        --signal-on-interrupt [SIGNAL].
        Returns None after it has blocked and shown what came of it, else the AsyncResult of DirectView.execute.
        Raises ValueError for an unknown option, and when it blocks the RemoteError or CompositeError of the code.
        Ctrl-C sends SIGINT to the engines.
        """
        options, code = self._split("%px", line)
        return self._run(code, options)

    def cell_px(self, line: str, cell: str) -> Any:
        """%%px [options]: run the cell on the engines.

        line: options, as for %px. cell: the code.
        Returns None after it has blocked and shown what came of it, else the AsyncResult of DirectView.execute.
        Raises ValueError for an unknown option, and when it blocks the RemoteError or CompositeError of the code.
        """
        options = _parser("%%px").parse_args(shlex.split(line))
        return self._run(cell, options)

    def pxconfig(self, line: str) -> None:
        """%pxconfig [options]: defaults for the other magics of this view.

        line: options, as for %px; --block and --targets set the view's flags.
        Returns None.
        Raises ValueError for an unknown option, NoSuchEngine for targets that are not there.
        """
        options = _parser("%pxconfig").parse_args(shlex.split(line))
        if options.block is not None:
            self.view.block = options.block
        if options.targets is not None:
            self.view.targets = _targets(options.targets)
        if options.verbose is not None:
            self.verbose = options.verbose
        if options.groupby is not None:
            self.groupby = options.groupby
        if options.stream is not None:
            self.stream = options.stream
        if options.signal_on_interrupt is not None:
            self.signal = options.signal_on_interrupt or None

    def pxresult(self, line: str) -> None:
        """%pxresult: print the output of the last %px, and wait for it.

        line: --group-outputs, as for %px.
        Returns None.
        Raises ValueError for an unknown option.
        """
        if self.last is None:
            print("there is no result yet: run something with %px first")
            return
        self._show(self.last, _parser("%pxresult").parse_args(shlex.split(line)))

    def autopx(self, line: str = "") -> None:
        """%autopx: from now on every cell runs on the engines, until %autopx again. Lines that begin with % run here.

        line: ignored.
        Returns None.
        Raises nothing: errors of cells are printed.
        """
        if self._original is not None:
            self.shell.run_cell = self._original
            self._original = None
            print("%autopx disabled")
            return
        self._original = self.shell.run_cell
        name = f"autopx{self.suffix}"
        default = _parser("%autopx").parse_args([])

        def run_cell(raw_cell: str, *args: Any, **kwargs: Any) -> Any:
            text = raw_cell.strip().lstrip("%")
            if text == name or raw_cell.lstrip().startswith("%"):
                assert self._original is not None
                return self._original(raw_cell, *args, **kwargs)
            try:
                self._run(raw_cell, default)
            except RemoteError as error:
                error.print_traceback()
            return None

        self.shell.run_cell = run_cell
        print("%autopx enabled")

    # Running ----------------------------------------------------------------------------------------------------

    def _split(self, prog: str, line: str) -> tuple[argparse.Namespace, str]:
        """Options at the beginning of a line, and the code after them."""
        parser = _parser(prog)
        words = line.split(" ")
        taken = 0
        while taken < len(words) and words[taken].startswith("-"):
            taken += 1
            if words[taken - 1] in ("-t", "--targets", "-o", "--out", "-e", "--group-outputs", "--progress-after"):
                taken += 1
        return parser.parse_args(shlex.split(" ".join(words[:taken]))), " ".join(words[taken:])

    def _run(self, code: str, options: argparse.Namespace) -> AsyncResult | None:
        view = self.view
        block = view.block if options.block is None else options.block
        targets = None if options.targets is None else _targets(options.targets)
        if self.verbose if options.verbose is None else options.verbose:
            print(f"{'Parallel' if block else 'Async parallel'} execution on {view!r}")
        if options.local:
            (self._original or self.shell.run_cell)(code)
        result = view.execute(code, silent=False, targets=targets, block=False)
        self.last = result
        if options.save_name:
            self.shell.user_ns[options.save_name] = result
        if not block:
            return result
        self._wait(result, options)
        return None  # what it gave was shown, and a shell shows what a magic returns

    def _wait(self, result: AsyncResult, options: argparse.Namespace) -> None:
        stream = self.stream if options.stream is None else options.stream
        try:
            if options.progress_after is not None and options.progress_after >= 0:
                result.wait(options.progress_after)
                if not result.ready():
                    result.wait_interactive()
            elif stream:
                with result.stream_output():
                    result.wait()
            else:
                result.wait()
        except KeyboardInterrupt:
            if self.signal is None:
                raise
            # The cell on the engines is what the user wants to end; its KeyboardInterrupt comes back as its error.
            self.view.client.send_signal(self.signal, self.view.targets, block=True)
            result.wait(5.0)
        if stream:
            result.display_outputs(options.groupby or self.groupby, result_only=True)
        else:
            self._show(result, options)
        error = result.exception(0) if result.ready() else None
        if error is not None:
            raise error

    def _show(self, result: AsyncResult, options: argparse.Namespace) -> None:
        result.get(return_exceptions=True)
        result.display_outputs(options.groupby or self.groupby)


def _targets(text: str) -> Any:
    """Targets of a command line: 'all', an id, a slice like '::2', or ids with commas."""
    if text == "all":
        return text
    if ":" in text:
        return slice(*[int(part) if part.strip() else None for part in text.split(":")])
    value = ast.literal_eval(text)
    return list(value) if isinstance(value, tuple) else value


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        raise RuntimeError("magics need IPython: this Python is no IPython shell")
    return shell


def activate(view: DirectView, suffix: str = "") -> None:
    """Register the magics of this view. Raises RuntimeError outside of IPython."""
    Magics(_shell(), view, suffix).register()


def load_ipython_extension(shell: Any) -> None:
    """%load_ext tuiparallel: the magics of a blocking view of all engines, of the cluster that Client() finds.

    shell: the IPython shell that loads it.
    Raises what Client() raises, ClusterNotFound among it.
    """
    from tuiparallel.client.client import Client

    client = Client()
    view = client.direct_view("all", block=True)
    Magics(shell, view, "").register()
