"""Lists of a blocking client as streams of Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe._core.checks import check_flag, check_whole_number
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.forks import no_fork
from pinstripe._core.tracebacks import hide_frames
from pinstripe._resources.pager import WINDOWS
from pinstripe.sync._pager import Pager

if TYPE_CHECKING:
    from pinstripe.export import ArrowStream


@hide_frames
def to_arrow(pager: Pager[Any], *, reveal: bool = False, windows: int = WINDOWS) -> ArrowStream:
    """Return a list as a stream of Arrow, for polars, DuckDB, pandas, pyarrow and others.

        frame = polars.DataFrame(to_arrow(stripe.identity.verification_sessions.list()))

    The columns are those of an export as Parquet; see `pinstripe.export`. A read holds a thousand
    rows at a time, and the pages that are on their way. Keep the client open until its end.

    Args:
        pager: The list, as `list(...)` of a `Client` gives it. With `skip_unfit`, a read goes on
            where an object does not fit its class.
        reveal: Whether private fields are columns too.
        windows: How many requests may be under way at once, up to 256, if the list has a filter by
            `created`.

    Raises:
        ConfigurationError: An argument is wrong, or pyarrow is missing.
    """
    if not isinstance(pager, Pager):
        problem = "must be what a list of a Client gives; for an AsyncClient use pinstripe.export"
        raise ConfigurationError("pager", problem)
    check_flag("reveal", reveal)
    check_whole_number("windows", windows)
    with no_fork():
        from pinstripe.export import _arrow  # noqa: PLC0415 -- slow, so only when needed

        rows = _arrow.rows_of(pager._async, reveal=reveal)  # noqa: SLF001 -- of this wing
    return _arrow.stream_of(pager._async, rows, windows, pager._bridge)  # noqa: SLF001 -- as above
