"""A second Python process that does with functions and values what an engine does, over a pipe."""

from __future__ import annotations

import builtins
import pickle
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from tuiparallel.wire import failures, functions, objects
from tuiparallel.wire.messages import ErrorText


class Peer:
    """Starts the process; its namespace is the __dict__ of its own __main__."""

    def __init__(self, folder: Path) -> None:
        root = Path(__file__).parent.parent.parent
        code = f"import sys; sys.path.insert(0, {str(root)!r}); from tests.wire.peer import serve; serve()"
        command = [sys.executable, "-W", "error", "-c", code]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def send(self, *request: Any) -> None:
        """Hand over a request without waiting for its answer."""
        assert self.process.stdin
        pickle.dump(request, self.process.stdin)
        self.process.stdin.flush()

    def receive(self) -> Any:
        """The answer to the oldest request that has none."""
        assert self.process.stdout
        ok, body = pickle.load(self.process.stdout)
        if not ok:
            raise failures.to_exception(msgspec.msgpack.decode(body, type=ErrorText))
        return objects.unpack(body)

    def call(self, *request: Any) -> Any:
        """One request and its answer."""
        self.send(*request)
        return self.receive()

    def apply_async(self, function: Any, *args: Any, **kwargs: Any) -> None:
        """Send a call; receive() has its result."""
        code = functions.pack_function(function)
        self.send("apply", code.hash, code.code, objects.pack_call(args, kwargs).body)

    def apply(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """What the function returns there."""
        self.apply_async(function, *args, **kwargs)
        return self.receive()

    def map(self, function: Any, items: list[Any]) -> Any:
        """One submission of several calls."""
        code = functions.pack_function(function)
        return self.call("map", code.hash, code.code, [objects.pack_call((item,), {}).body for item in items])

    def push(self, **values: Any) -> None:
        """Set names of the namespace."""
        self.call("push", objects.pack(values).body)

    def execute(self, code: str) -> None:
        """Run source code in the namespace."""
        self.call("execute", code)

    def pull(self, name: str) -> Any:
        """A value of the namespace."""
        return self.call("pull", name)

    def fresh(self) -> None:
        """Empty the namespace and the table of functions."""
        self.call("fresh")


class Here:
    """A client's __main__: what is run in it belongs to a module of this name."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": vars(builtins)}

    def run(self, code: str) -> None:
        exec(textwrap.dedent(code), self.names)

    def __getitem__(self, expression: str) -> Any:
        return eval(expression, self.names)


def serve() -> None:
    """The process's main function."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    table = functions.FunctionTable(vars(main), place="engine 3 on node7")
    clean = dict(vars(main))
    numbers = iter(range(1, sys.maxsize))
    while (request := _next(requests)) is not None:
        try:
            if request[0] == "fresh":
                table.clear()
                vars(main).clear()
                vars(main).update(clean)
                result = None
            else:
                result = _done(table, request, numbers)
            answer = True, objects.pack(result).body
        except BaseException as failure:
            answer = False, msgspec.msgpack.encode(failures.from_exception(failure, 3, "uuid"))
        pickle.dump(answer, answers)
        answers.flush()


def _next(requests: BinaryIO) -> Any:
    try:
        return pickle.load(requests)
    except EOFError:
        return None


def _done(table: functions.FunctionTable, request: tuple[Any, ...], numbers: Any) -> Any:
    match request:
        case ("apply", hash, code, body):
            table.load(hash, code)
            function = table.get(hash)
            args, kwargs = objects.unpack_call(body)
            return function(*args, **kwargs)
        case ("map", hash, code, bodies):
            table.load(hash, code)
            submission = next(numbers)
            return [table.get(hash, submission)(*objects.unpack_call(body)[0]) for body in bodies]
        case ("push", body):
            table.namespace.update(objects.unpack(body))
        case ("execute", code):
            exec(compile(code, "<execute>", "exec"), table.namespace)
        case ("pull", name):
            return eval(name, table.namespace)
    return None
