"""Dask's dashboard and metrics of the scheduler, for those who know their secret path (``--daskmpi-dashboard``).

Runs on: rank 0, where Dask loads it by name into the scheduler, as one of its "preloads"; rank 1 asks for the address.

Dask's HTTP server knows no users, and every user of a node can connect to its loopback interface. So a server of our
own listens there, and all that it serves is below a first folder of the path that is a random word: no cookie, which a
browser would show to all ports of a host, and nothing for each handler to remember. Whatever does not begin with the
word is answered with 404 before anything of Dask's or Bokeh's sees it, websockets too. The word comes to rank 1 over
the ranks' own connection, and is in no environment, no command line and no file that others can read.
"""

from __future__ import annotations

import hmac
import importlib.util
import secrets
import socket
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.errors import SettingsError, WorldError
from snakemake_executor_plugin_daskmpi.record.dashboard import LOOPBACK, Address

if TYPE_CHECKING:
    from distributed import Scheduler

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.world.link import Link

#: What is served besides the dashboard itself. Not Dask's "api", which can end workers, nor its proxy to other ports.
_ROUTES = (
    "distributed.http.scheduler.prometheus",
    "distributed.http.scheduler.info",
    "distributed.http.scheduler.json",
    "distributed.http.health",
    "distributed.http.statics",
)
#: Name of the scheduler's handler that rank 1 calls.
_HANDLER = "daskmpi_dashboard"
#: Key of its answer if there is no dashboard: why not.
_FAILURE = "failure"
#: Seconds for the scheduler to answer; arbitrary: it has nothing else to do then.
_ANSWERS_WITHIN_S = 30.0


def check(settings: Settings) -> None:
    """Raise a SettingsError if the dashboard is asked for and this Python cannot draw it."""
    if settings.dashboard and importlib.util.find_spec("bokeh") is None:
        raise SettingsError(
            "--daskmpi-dashboard needs Bokeh, which draws the dashboard.",
            seen=f"no package bokeh in the environment of {sys.executable}.",
            next_step="pip install 'snakemake-executor-plugin-daskmpi[dashboard]', or leave --daskmpi-dashboard out: "
            "snakemake-daskmpi watch needs no extra.",
        )


def preloads(settings: Settings) -> list[str]:
    """Return what Dask is to load into the scheduler for the dashboard: this module, or nothing."""
    return [__name__] if settings.dashboard else []


def address_of(link: Link) -> Address:
    """Ask the scheduler of a world where its dashboard is.

    Raises
    ------
    WorldError
        If it could not start one. What Dask raises, if it does not answer.
    """

    async def ask() -> dict[str, Any]:
        return await getattr(link.client.scheduler, _HANDLER)()  # type: ignore[no-any-return]

    answer = link.call(ask(), timeout_s=_ANSWERS_WITHIN_S)
    if (failure := answer.get(_FAILURE)) is not None:
        raise WorldError(
            "Rank 0 cannot serve Dask's dashboard.",
            seen=failure,
            next_step="pip install --upgrade 'snakemake-executor-plugin-daskmpi[dashboard]'; rank-0.log says more.",
        )
    return Address(**answer)


def dask_setup(scheduler: Scheduler) -> None:
    """Be called by Dask when the scheduler starts, which goes on whatever this raises, and logs it."""
    answer: dict[str, Any] = {}
    scheduler.handlers[_HANDLER] = lambda: answer
    try:
        answer |= asdict(_serve(scheduler))
    except Exception as error:
        answer[_FAILURE] = f"{type(error).__name__}: {error}"
        raise


def _serve(scheduler: Scheduler) -> Address:
    from distributed.dashboard.scheduler import connect
    from distributed.http.routing import RoutingApplication
    from distributed.http.utils import get_handlers
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import ErrorHandler

    word = secrets.token_hex(16)

    class Secret(RoutingApplication):
        """Finds handlers, its own and those of Bokeh's application in it, for requests that know the word only."""

        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            said = request.path.split("/")[1:2]
            if said and hmac.compare_digest(said[0].encode(), word.encode()):
                return super().find_handler(request, **kwargs)
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 404})

    # Without a line in the log for each request: strangers could fill it.
    handlers = get_handlers(scheduler, list(_ROUTES), prefix=word)
    application: RoutingApplication = Secret(handlers, log_function=lambda _: None)  # type: ignore[no-untyped-call]
    server = HTTPServer(application)
    connect(application, server, scheduler, prefix=word)
    # Last: what is not there yet cannot be asked.
    sockets = bind_sockets(0, LOOPBACK)
    server.add_sockets(sockets)
    return Address(socket.gethostname(), sockets[0].getsockname()[1], word)
