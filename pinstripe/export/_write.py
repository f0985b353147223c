"""Parts written one by one, in any process.

Before the file of a part appears, its receipt is written: how many objects and bytes it has. So a
part is written if its file is there and has the size of its receipt; then `write_part` sends
nothing. A part that was begun is resumed where its rows are: in the folder of the data set, or, for
an object store, on the machine that began it; elsewhere it starts again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

from attrs import asdict

from pinstripe._client import AsyncClient
from pinstripe._core.checks import check_id, kind_of
from pinstripe._core.errors import ConfigurationError, UnfitError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._resources.pager import WINDOWS, Pager
from pinstripe._resources.walk import Created
from pinstripe.export._export import ExportSettings, write_to
from pinstripe.export._part import DATA_SET, FOLDER, Part, PartReceipt, Plan, check_plan
from pinstripe.export._plan import check_content
from pinstripe.export._store import Store, read_json, store_at, write_json
from pinstripe.export._threads import finish_in_thread


@hide_frames
async def write_part(
    client: AsyncClient,
    part: Part,
    *,
    skip_unfit: Callable[[UnfitError], object] | None = None,
) -> PartReceipt:
    """Write the file of a part, unless it is there, and return what is in it.

    However it ends, it can be called again, in any process, and does what is left to do.

    Args:
        client: A client with the key of the account, or of the platform of the accounts.
        part: The part, from a plan.
        skip_unfit: A plain function, called with the error of each object that does not fit its
            class and is left out; by default such an object ends the part with its error.

    Raises:
        ConfigurationError: An argument is wrong, the plan is of another version or another data
            set, or another process is writing the part; nothing was sent.
        DecodeError: A value does not fit into its column exactly.
        UnfitError: An object does not fit its class.
        PinstripeError: The list could not be read to its end.
        OSError: The file cannot be written or uploaded.
    """
    if not isinstance(client, AsyncClient):
        raise ConfigurationError("client", f"must be an AsyncClient, not {kind_of(client)}")
    pager = _list_of(client, check_part(part))
    if skip_unfit is not None:
        pager = pager.skip_unfit(skip_unfit)
    store = await finish_in_thread(store_at, part.plan.url)
    receipt = await finish_in_thread(_receipt_if_written, store, part)
    if receipt is None:
        try:
            await _write(store, part, pager, resume=True)
        except ConfigurationError as error:
            if error.argument != "resume":
                raise
            # What was begun is damaged, or has the columns of another release: start again.
            await _write(store, part, pager, resume=False)
        receipt = await finish_in_thread(_receipt_if_written, store, part)
    if receipt is None:
        raise OSError(f"{part.name} was changed or removed while it was written: write it again")
    return receipt


async def _write(store: Store, part: Part, pager: Pager[Any], *, resume: bool) -> None:
    file = await finish_in_thread(store.output, part.name, partial(_write_receipt, store, part))
    plan = part.plan
    settings = ExportSettings(
        plan.format, plan.reveal, resume, overwrite=True, escape_formulas=False
    )
    await write_to(file, pager, settings, WINDOWS, None)


def check_part(part: Any) -> Part:
    """Return a part that this release can write.

    Args:
        part: What the caller passed.

    Raises:
        ConfigurationError: It is something else, or of another version or resource.
    """
    if not isinstance(part, Part):
        raise ConfigurationError("part", f"must be a Part of a plan, not {kind_of(part)}")
    check_plan(part.plan, "part")
    if part.account is not None:
        check_id("part", part.account)
    return part


def _list_of(client: AsyncClient, part: Part) -> Pager[Any]:
    if part.account is not None:
        client = client.with_options(account=part.account)
    function = attrgetter(f"{part.plan.resource}.list")(client)
    pager: Pager[Any] = function(
        **part.plan.filters, created=Created(gte=part.since, lt=part.until)
    )
    return pager


def _write_receipt(store: Store, part: Part, rows: int, size: int) -> None:
    receipt = PartReceipt(name=part.name, rows=rows, size=size)
    write_json(store, _receipt_name(part), asdict(receipt))


def _receipt_name(part: Part) -> str:
    return f"{FOLDER}/receipts/{part.name}.json"


def _receipt_if_written(store: Store, part: Part) -> PartReceipt | None:
    """Return the receipt of a part if its file is there; refuse another data set."""
    check_data_set(part.plan, store)
    receipt = receipt_of(store, part)
    if receipt is None or store.size(part.name) != receipt.size:
        return None
    return receipt


def check_data_set(plan: Plan, store: Store | None = None) -> None:
    """Refuse to write a part of a data set that is not there, or is of something else.

    Args:
        plan: The plan of the part.
        store: The data set, if it is open.

    Raises:
        ConfigurationError: It is so.
        OSError: The data set cannot be read.
    """
    found = read_json(store or store_at(plan.url), DATA_SET)
    if found is None:
        problem = (
            "there is no data set at its url: plan again, and let every process see that place"
        )
        raise ConfigurationError("part", problem)
    check_content(plan, found, "part")


def receipt_of(store: Store, part: Part) -> PartReceipt | None:
    """Return the receipt of a part; None if there is none.

    Args:
        store: The data set.
        part: The part.
    """
    try:
        return PartReceipt(**read_json(store, _receipt_name(part)))
    except TypeError:
        return None
