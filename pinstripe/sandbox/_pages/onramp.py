"""The hosted page of an onramp session: its buyer chooses, signs in and pays, or is rejected.

Each visit shows the step that the session is at, with every way on from there. The prices are those
of the quotes of this minute.

Choices where the published facts are silent:

- an address and a client secret work as long as their session exists;
- a refused payment leaves the session as it is, since the API has no field for it;
- why a buyer is rejected is seen on the page only, for the same reason;
- nothing leads back to the shop, which hears of the purchase by an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from pinstripe.sandbox._crypto import steps
from pinstripe.sandbox._crypto.pricing import NETWORK_KEYS, SOURCE_CURRENCIES, as_text
from pinstripe.sandbox._crypto.steps import SESSION
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content, page_route
from pinstripe.sandbox._pages.hosted import Unread, find, hosted, no_such_page, show
from pinstripe.sandbox._pages.tokens import check_form_token, form_token
from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._params.schema import Nullable, Object, PositiveDecimal, String, Word
from pinstripe.sandbox._state.lifecycles import ONRAMP_SESSION
from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import Account

# What the service rejects a buyer for: the facts of the lifecycle, and of the check that the page
# makes again after the session was created.
REJECTIONS: Final[Mapping[str, str]] = {
    "identity": "The identity check failed.",
    "sanctions": "The buyer is on a list of sanctions.",
    "fraud": "The purchase looks like fraud.",
    "place": "The buyer is in a place that is not served.",
}
_DECLINED: Final = "The card was declined. Nothing was charged; try another one."

# The side of the trade on which the buyer names the amount.
_SIDES: Final[Mapping[str, str]] = {"pay": "source_amount", "receive": "destination_amount"}
_AMOUNT: Final = Object(
    {
        "amount": PositiveDecimal("crypto_onramp_invalid_source_amount"),
        "side": Word(tuple(_SIDES)),
        "source_currency": Word(SOURCE_CURRENCIES),
    },
    required=("amount", "side", "source_currency"),
)
_PURCHASE: Final = Object({"pair": String(), "wallet": Nullable(String())}, required=("pair",))

_QUERY: Final = dict.fromkeys(_AMOUNT.fields, Unread())
_GET: Final = Object(_QUERY)
_POST: Final = Object(
    {
        **_QUERY,
        **dict.fromkeys(_PURCHASE.fields, Unread()),
        "form_token": String(clearable=True),
        "step": Word(("sign_in", "pay", "decline", "checkout", "deliver", "reject")),
        "cause": Word(tuple(REJECTIONS)),
    },
    required=("form_token", "step"),
)


def _get(call: Call) -> Content:
    account, value = _open(call)
    return _page(call, account, value)


def _post(call: Call) -> Content:
    check_form_token(call.account.world, call.path, call.params["form_token"])
    account, value = _open(call)
    step = call.params["step"]
    if step == "decline":
        return _page(call, account, value, _DECLINED)
    try:
        value = _take(account, value, step, call.params)
    except Refusal as refusal:
        return _page(call, account, value, refusal.message, status=400)
    if step == "reject":
        return _page(call, account, value, REJECTIONS[call.params.get("cause", "identity")])
    # A reload of the next page must not take the next step.
    return Content(b"", status=303, headers={"Location": call.path, "Cache-Control": "no-store"})


def _open(call: Call) -> tuple[Account, Json]:
    token = call.ids[0]
    found = find(call.account.world, SESSION, steps.session_id(token))
    if found is None or not steps.opens(found[1], token):
        raise no_such_page()
    return found


def _take(account: Account, value: Json, step: str, params: Json) -> Json:
    """Take a step of the buyer, the service or the network."""
    if step != "sign_in":
        return steps.enter(account, value, ONRAMP_SESSION.step(value["status"], step))
    bought = _read(_PURCHASE, params)
    currency, _, network = bought["pair"].partition(":")
    choice = {
        **_choice(_amount(value, params)),
        "destination_currency": currency,
        "destination_network": network,
        "wallet_address": bought.get("wallet"),
    }
    return steps.sign_in(account, value, choice)


def _amount(value: Json, params: Json) -> Json:
    """Return the amount that the buyer entered, else the one that the session was created with."""
    if "amount" in params:
        return _read(_AMOUNT, params)
    details = value["transaction_details"]
    received, paid = details["destination_amount"], details["source_amount"]
    return _AMOUNT.read_form(
        {
            "amount": received or paid or as_text(steps.DEFAULT_AMOUNT),
            "side": "receive" if received else "pay",
            "source_currency": details["source_currency"] or steps.DEFAULT_SOURCE,
        }
    )


def _read(wanted: Object, params: Json) -> Json:
    return wanted.read_form({name: params[name] for name in wanted.fields if name in params})


def _choice(amount: Json) -> Json:
    side = _SIDES[amount["side"]]
    return {side: amount["amount"], "source_currency": amount["source_currency"]}


def _page(
    call: Call, account: Account, value: Json, problem: str | None = None, *, status: int = 200
) -> Content:
    """Return the page of the step that a session is at."""
    choosing: Json = {}
    if value["status"] == "initialized":
        try:
            choosing = _choosing(account, value, _amount(value, call.params))
        except Refusal as refusal:
            problem, status = problem or refusal.message, 400
            choosing = _choosing(account, value, _amount(value, {}))
    return show(
        call,
        "onramp.html",
        status=status,
        says={"session": account.render(value, {})},
        session=value,
        details=value["transaction_details"],
        total=_total(value["transaction_details"]),
        account=account.id,
        problem=problem,
        rejections=REJECTIONS,
        form_token=form_token(account.world, call.path),
        **choosing,
    )


def _total(details: Json) -> str | None:
    """Return what the buyer pays, with the fees; None before that is known."""
    fees = details["fees"]
    return fees and as_text(sum(map(Decimal, fees.values()), Decimal(details["source_amount"])))


def _choosing(account: Account, value: Json, amount: Json) -> Json:
    """Return what the page needs for the choice of the buyer."""
    details = value["transaction_details"]
    wallets = get_object(details, "wallet_addresses")
    prices = steps.offers(account, value, _choice(amount))
    first = steps.default_pair(details)
    if first not in [(price.currency, price.network) for price in prices] and prices:
        first = (prices[0].currency, prices[0].network)
    return {
        "amount": amount,
        "sources": SOURCE_CURRENCIES,
        "offers": [
            {
                "price": price,
                "chosen": (price.currency, price.network) == first,
                "wallet": wallets.get(NETWORK_KEYS[price.network]),
            }
            for price in prices
        ],
    }


ROUTES: Final = (
    page_route("GET", steps.PAGE + "{token}", hosted(_get), _GET),
    page_route("POST", steps.PAGE + "{token}", hosted(_post), _POST),
)
