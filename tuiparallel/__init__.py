"""Interactive parallel computing over 0MQ, with a console.

Names are imported when they are first used, so that `import tuiparallel` costs next to nothing.
"""

from __future__ import annotations

import builtins
import importlib
from concurrent.futures import ALL_COMPLETED as ALL_COMPLETED
from concurrent.futures import FIRST_COMPLETED as FIRST_COMPLETED
from concurrent.futures import FIRST_EXCEPTION as FIRST_EXCEPTION
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuiparallel import errors as error
    from tuiparallel.client.asyncresult import AsyncResult as AsyncResult
    from tuiparallel.client.balancedview import LoadBalancedView as LoadBalancedView
    from tuiparallel.client.broadcastview import BroadcastView as BroadcastView
    from tuiparallel.client.client import Client as Client
    from tuiparallel.client.decorators import (
        ParallelFunction as ParallelFunction,
    )
    from tuiparallel.client.decorators import (
        RemoteFunction as RemoteFunction,
    )
    from tuiparallel.client.decorators import (
        depend as depend,
    )
    from tuiparallel.client.decorators import (
        dependent as dependent,
    )
    from tuiparallel.client.decorators import (
        parallel as parallel,
    )
    from tuiparallel.client.decorators import (
        remote as remote,
    )
    from tuiparallel.client.decorators import (
        require as require,
    )
    from tuiparallel.client.dependency import Dependency as Dependency
    from tuiparallel.client.directview import DirectView as DirectView
    from tuiparallel.client.display import ExecuteReply as ExecuteReply
    from tuiparallel.client.executor import ViewExecutor as ViewExecutor
    from tuiparallel.client.hubresult import AsyncHubResult as AsyncHubResult
    from tuiparallel.client.joblib import register_joblib_backend as register_joblib_backend
    from tuiparallel.client.mapresult import AsyncMapResult as AsyncMapResult
    from tuiparallel.client.metadata import Metadata as Metadata
    from tuiparallel.client.older import PrePickled as PrePickled
    from tuiparallel.client.older import use_cloudpickle as use_cloudpickle
    from tuiparallel.client.older import use_dill as use_dill
    from tuiparallel.client.older import use_pickle as use_pickle
    from tuiparallel.cluster.cluster import Cluster as Cluster
    from tuiparallel.cluster.running import clusters as clusters
    from tuiparallel.errors import (
        AbortedTask as AbortedTask,
    )
    from tuiparallel.errors import (
        AlreadyDisplayedError as AlreadyDisplayedError,
    )
    from tuiparallel.errors import (
        AuthenticationError as AuthenticationError,
    )
    from tuiparallel.errors import (
        ClientClosed as ClientClosed,
    )
    from tuiparallel.errors import (
        ClusterExists as ClusterExists,
    )
    from tuiparallel.errors import (
        ClusterNotFound as ClusterNotFound,
    )
    from tuiparallel.errors import (
        CompositeError as CompositeError,
    )
    from tuiparallel.errors import (
        ConnectTimeout as ConnectTimeout,
    )
    from tuiparallel.errors import (
        DependencyTimeout as DependencyTimeout,
    )
    from tuiparallel.errors import (
        DeserializationError as DeserializationError,
    )
    from tuiparallel.errors import (
        EngineError as EngineError,
    )
    from tuiparallel.errors import (
        HubUnreachable as HubUnreachable,
    )
    from tuiparallel.errors import (
        ImpossibleDependency as ImpossibleDependency,
    )
    from tuiparallel.errors import (
        InsecureFile as InsecureFile,
    )
    from tuiparallel.errors import (
        InvalidDependency as InvalidDependency,
    )
    from tuiparallel.errors import (
        IPythonError as IPythonError,
    )
    from tuiparallel.errors import (
        KernelError as KernelError,
    )
    from tuiparallel.errors import (
        MessageTooLarge as MessageTooLarge,
    )
    from tuiparallel.errors import (
        NoEnginesRegistered as NoEnginesRegistered,
    )
    from tuiparallel.errors import (
        NoSuchEngine as NoSuchEngine,
    )
    from tuiparallel.errors import (
        NoSuchTask as NoSuchTask,
    )
    from tuiparallel.errors import (
        ParallelError as ParallelError,
    )
    from tuiparallel.errors import (
        ProtocolMismatch as ProtocolMismatch,
    )
    from tuiparallel.errors import (
        RemoteError as RemoteError,
    )
    from tuiparallel.errors import (
        ResultExpired as ResultExpired,
    )
    from tuiparallel.errors import (
        ResultNotReady as ResultNotReady,
    )
    from tuiparallel.errors import (
        SerializationError as SerializationError,
    )
    from tuiparallel.errors import (
        StartError as StartError,
    )
    from tuiparallel.errors import (
        StorageFull as StorageFull,
    )
    from tuiparallel.errors import (
        TaskAborted as TaskAborted,
    )
    from tuiparallel.errors import (
        TaskLost as TaskLost,
    )
    from tuiparallel.errors import (
        TaskRejectError as TaskRejectError,
    )
    from tuiparallel.errors import (
        TaskTimeout as TaskTimeout,
    )
    from tuiparallel.errors import (
        UnmetDependency as UnmetDependency,
    )
    from tuiparallel.wire.current import current_task as current_task
    from tuiparallel.wire.current import publish_data as publish_data
    from tuiparallel.wire.functions import interactive as interactive
    from tuiparallel.wire.functions import send_by_value as send_by_value
    from tuiparallel.wire.references import Reference as Reference


TimeoutError = builtins.TimeoutError

__version__ = "0.1.0"
version_info = (0, 1, 0)

_HOMES = {
    "tuiparallel.client.asyncresult": ["AsyncResult"],
    "tuiparallel.client.balancedview": ["LoadBalancedView"],
    "tuiparallel.client.broadcastview": ["BroadcastView"],
    "tuiparallel.client.client": ["Client"],
    "tuiparallel.client.decorators": [
        "ParallelFunction", "RemoteFunction", "depend", "dependent", "parallel", "remote", "require"
    ],
    "tuiparallel.client.dependency": ["Dependency"],
    "tuiparallel.client.directview": ["DirectView"],
    "tuiparallel.client.display": ["ExecuteReply"],
    "tuiparallel.client.executor": ["ViewExecutor"],
    "tuiparallel.client.hubresult": ["AsyncHubResult"],
    "tuiparallel.client.joblib": ["register_joblib_backend"],
    "tuiparallel.client.mapresult": ["AsyncMapResult"],
    "tuiparallel.client.metadata": ["Metadata"],
    "tuiparallel.client.older": ["PrePickled", "use_cloudpickle", "use_dill", "use_pickle"],
    "tuiparallel.cluster.cluster": ["Cluster"],
    "tuiparallel.cluster.running": ["clusters"],
    "tuiparallel.errors": [
        "AbortedTask", "AlreadyDisplayedError", "AuthenticationError", "ClientClosed", "ClusterExists",
        "ClusterNotFound", "CompositeError", "ConnectTimeout", "DependencyTimeout", "DeserializationError",
        "EngineError", "HubUnreachable", "IPythonError", "ImpossibleDependency", "InsecureFile", "InvalidDependency",
        "KernelError", "MessageTooLarge", "NoEnginesRegistered", "NoSuchEngine", "NoSuchTask", "ParallelError",
        "ProtocolMismatch", "RemoteError", "ResultExpired", "ResultNotReady", "SerializationError", "StartError",
        "StorageFull", "TaskAborted", "TaskLost", "TaskRejectError", "TaskTimeout", "UnmetDependency",
    ],
    "tuiparallel.wire.current": ["current_task", "publish_data"],
    "tuiparallel.wire.functions": ["interactive", "send_by_value"],
    "tuiparallel.wire.references": ["Reference"],
}  # fmt: skip

_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "TimeoutError", "error", "version_info", *_HOME
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "error":
        found: Any = importlib.import_module("tuiparallel.errors")
    elif name in _HOME:
        found = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """%load_ext tuiparallel: gives IPython %px, %%px, %autopx, %pxconfig and %pxresult, on a blocking view of all
    engines of the cluster that Client() finds.

    shell: the IPython shell that loads it.
    Returns None.
    Raises what Client() raises, ClusterNotFound among it.
    """
    from tuiparallel.client.magics import load_ipython_extension as load

    load(shell)
