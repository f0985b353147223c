"""The invented suppliers and products of Climate that every account starts with.

None of these suppliers exists. Each product has prices by currency, in minor units per metric ton
and without fees; yen have no minor unit. The products cover the cases that a client has to handle:
one has four suppliers (a portfolio) and no delivery year, one has a delivery year in the past, and
one is nearly sold out and has prices in two currencies only. The newest, and so the first of every
list, can be ordered in any quantity: it has the id and the price of Stripe's own example.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

SUPPLIER: Final = "climate.supplier"
PRODUCT: Final = "climate.product"

# docs.stripe.com/api/climate/order/create
EXAMPLE: Final = "climsku_frontier_offtake_portfolio_2027"
# Ids of the other products. The API documents no form for them beyond the prefix.
PORTFOLIO: Final = "climsku_mixed_portfolio"
WEATHERING: Final = "climsku_enhanced_weathering_skerrystone_2028"
BIOCHAR: Final = "climsku_biochar_emberloam_2024"
AIR_CAPTURE: Final = "climsku_direct_air_capture_highvane_2031"
MARINE: Final = "climsku_marine_alkalinity_kelpwater_2029"


def _place(
    country: str,
    region: str | None = None,
    city: str | None = None,
    at: tuple[float, float] | None = None,
) -> dict[str, Any]:
    latitude, longitude = at or (None, None)
    return {
        "city": city,
        "country": country,
        "latitude": latitude,
        "longitude": longitude,
        "region": region,
    }


def _supplier(name: str, title: str, pathway: str, *places: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"climsup_{name}",
        "object": SUPPLIER,
        "info_url": f"https://{name}.example/removal",
        "livemode": False,
        "locations": list(places),
        "name": title,
        "removal_pathway": pathway,
    }


SKERRYSTONE: Final = _supplier(
    "skerrystone",
    "Skerrystone Minerals",
    "enhanced_weathering",
    _place("IE", "Donegal", "Killybegs", (54.6361, -8.4469)),
)
EMBERLOAM: Final = _supplier(
    "emberloam",
    "Emberloam Biochar",
    "biomass_carbon_removal_and_storage",
    _place("US", "Minnesota", "Bemidji", (47.4716, -94.8827)),
    _place("CA", "Manitoba", "Steinbach", (49.5258, -96.6845)),
)
HIGHVANE: Final = _supplier(
    "highvane",
    "Highvane Air",
    "direct_air_capture",
    _place("IS", "Norðurþing", "Húsavík", (66.0449, -17.3389)),
)
KELPWATER: Final = _supplier(
    "kelpwater", "Kelpwater Alkalinity", "marine_carbon_removal", _place("NZ")
)

SUPPLIERS: Final = (SKERRYSTONE, EMBERLOAM, HIGHVANE, KELPWATER)


@frozen
class Offer:
    """A product before it is stored.

    Attributes:
        id: Its id.
        name: Its name.
        created: The time at which it was added, in seconds since the epoch.
        delivery_year: The year of delivery; None if it differs by supplier.
        tons: The metric tons that are available.
        suppliers: The suppliers that remove the carbon.
        prices: Minor units per metric ton by currency, without fees.
    """

    id: str
    name: str
    created: int
    delivery_year: int | None
    tons: str
    suppliers: tuple[Mapping[str, Any], ...]
    prices: Mapping[str, int]


OFFERS: Final = (
    Offer(
        PORTFOLIO,
        "Mixed portfolio",
        1_751_328_000,
        None,
        "18000",
        SUPPLIERS,
        {"chf": 38100, "eur": 40700, "gbp": 35300, "jpy": 70400, "usd": 47500},
    ),
    Offer(
        BIOCHAR,
        "Biochar by Emberloam, 2024",
        1_752_192_000,
        2024,
        "640.5",
        (EMBERLOAM,),
        {"chf": 13900, "eur": 14850, "gbp": 12870, "jpy": 25700, "usd": 17325},
    ),
    Offer(
        WEATHERING,
        "Enhanced weathering by Skerrystone, 2028",
        1_753_056_000,
        2028,
        "12840.75",
        (SKERRYSTONE,),
        {"chf": 27300, "eur": 29150, "gbp": 25290, "jpy": 50450, "usd": 34010},
    ),
    Offer(
        AIR_CAPTURE,
        "Direct air capture by Highvane, 2031",
        1_753_920_000,
        2031,
        "2600",
        (HIGHVANE,),
        {"chf": 68200, "eur": 72900, "gbp": 63190, "jpy": 126050, "usd": 85000},
    ),
    Offer(
        MARINE,
        "Ocean alkalinity by Kelpwater, 2029",
        1_754_784_000,
        2029,
        "0.75",
        (KELPWATER,),
        {"eur": 47150, "usd": 55025},
    ),
    Offer(
        EXAMPLE,
        "Offtake portfolio, 2027",
        1_755_648_000,
        2027,
        "25000",
        (SKERRYSTONE, EMBERLOAM, HIGHVANE),
        {"chf": 44100, "eur": 47130, "gbp": 40880, "jpy": 81520, "usd": 55000},
    ),
)
