"""Reports each call as a whole: its begin, and its end after all attempts.

This is apart from the pipeline, so that a call that nobody watches costs nothing more.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pinstripe._config.hooks import Hooks, report
from pinstripe._config.infos import CallInfo, ResultInfo
from pinstripe._core.errors import PinstripeError
from pinstripe._http.acting import named_in
from pinstripe._http.messages import Host, Request, Response
from pinstripe._http.pipeline import Pipeline, end_of_request
from pinstripe._http.retry import Attempts


class WatchedCalls:
    """Hands calls to a pipeline, and reports them.

    Args:
        pipeline: Makes the calls.
        hooks: The hooks that get the reports.
        acts_for: The account and the context of calls that name neither.
        server_of: Returns the name and the port of the server that serves an address of the API.
        monotonic: Returns the seconds of a clock that never goes back.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        hooks: Hooks,
        acts_for: tuple[str | None, str | None],
        server_of: Callable[[Host], tuple[str, int]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline = pipeline
        self._hooks = hooks
        self._acts_for = acts_for
        self._server_of = server_of
        self._monotonic = monotonic

    async def send(self, request: Request) -> Response:
        """Make a call; see `Pipeline.send`."""
        attempts = Attempts()
        call, method, path = attempts.call, request.method, request.template
        server, port = self._server_of(request.host)
        named = named_in(request.headers)
        account, context = named if any(named) else self._acts_for
        begin = CallInfo(
            call=call,
            method=method,
            path=path,
            idempotency_key=request.idempotency_key,
            account=account,
            context=context,
            server=server,
            port=port,
        )
        report(self._hooks.on_call, begin)
        started = self._monotonic()
        status = request_id = problem = None
        try:
            result = await self._pipeline.send(request, attempts)
            status, request_id, problem = end_of_request(result)
        except BaseException as error:
            status, request_id, problem = _end_of_failure(error)
            raise
        finally:
            ended = ResultInfo(
                call=call,
                method=method,
                path=path,
                attempts=attempts.count,
                duration=self._monotonic() - started,
                status=status,
                request_id=request_id,
                error=problem,
            )
            report(self._hooks.on_result, ended)
        return result


def _end_of_failure(error: BaseException) -> tuple[int | None, str | None, str]:
    """Return how a call failed: the status, the request id, and the name of the error."""
    name = type(error).__name__
    if isinstance(error, PinstripeError):
        return getattr(error, "status", None), error.request_id, name
    return None, None, name
