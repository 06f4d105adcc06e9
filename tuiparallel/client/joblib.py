"""joblib on a cluster; joblib itself stays optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuiparallel.client.view import View


def register_joblib_backend(name: str = "tuiparallel", make_default: bool = False) -> None:
    """Make joblib run its calls on a cluster: the one that Client() finds each time.

        >>> import joblib
        >>> tp.register_joblib_backend()
        >>> with joblib.parallel_backend("tuiparallel"):
        ...     joblib.Parallel(n_jobs=4)(joblib.delayed(abs)(x) for x in [-1, -2])
        [1, 2]

    name: how the backend is called; 'ipyparallel' is registered too. make_default: whether joblib uses it from now on
    without being told. View.register_joblib_backend names a view.
    Returns None.
    Raises ImportError when joblib is not installed; joblib then raises what Client() raises. After joblib's
    ParallelBackendBase.
    """
    register(None, name, make_default)


def register(view: View | None, name: str, make_default: bool) -> None:
    """Register a backend for this view, or for a balanced view of a new Client each time."""
    from joblib.parallel import register_parallel_backend  # type: ignore[import-not-found, unused-ignore]

    backend = _backend_class()

    def factory(**options: Any) -> Any:
        return backend(view=options.pop("view", view), **options)

    for known in dict.fromkeys((name, "ipyparallel")):
        register_parallel_backend(known, factory, make_default=make_default and known == name)


def _backend_class() -> Any:
    from joblib.parallel import ParallelBackendBase  # type: ignore[import-not-found, unused-ignore]

    class Backend(ParallelBackendBase):  # type: ignore[misc, unused-ignore]
        """joblib's batches as tasks of a balanced view."""

        supports_retrieve_callback = False
        default_n_jobs = -1

        def __init__(self, view: Any = None, **options: Any) -> None:
            super().__init__(**options)
            self._client: Any = None
            if view is None:
                from tuiparallel.client.client import Client

                self._client = Client()
                view = self._client.load_balanced_view()
            self._view = view

        def effective_n_jobs(self, n_jobs: int | None) -> int:
            there = len(self._view)
            if n_jobs is None:
                return 1
            return max(1, there + 1 + n_jobs) if n_jobs < 0 else n_jobs

        def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
            self.parallel = parallel
            return self.effective_n_jobs(n_jobs)

        def terminate(self) -> None:
            if self._client is not None:
                self._client.close()

        def submit(self, func: Any, callback: Any = None) -> Any:
            future = self._view.executor.submit(func)
            if callback is not None:
                future.add_done_callback(callback)
            return future

        apply_async = submit

        def retrieve_result(self, out: Any, timeout: float | None = None) -> Any:
            return out.result(timeout)

        def abort_everything(self, ensure_ready: bool = True) -> None:
            self._view.abort(block=True)

    return Backend
