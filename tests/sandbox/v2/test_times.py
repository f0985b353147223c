"""Times of `/v2`: read, shown, and as bounds of whole seconds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox import Refusal
from pinstripe.sandbox._v2.times import Instant, range_of, seconds_of, shown

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=ZONES).filter(lambda moment: 1970 < moment.year < 9999)


@given(MOMENTS)
def test_a_time_is_read_exactly(moment: datetime) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert Fraction(seconds_of(moment.isoformat()) or 0) == Fraction(
        (moment - epoch) // timedelta(microseconds=1), 10**6
    )


@given(st.integers(0, 4_000_000_000_000))
def test_what_is_shown_is_read_back(milliseconds: int) -> None:
    text = shown(milliseconds // 1000)
    assert text.endswith(".000Z")
    assert seconds_of(text) == milliseconds // 1000


BAD = ["", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "5", "٢026-01-01"]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_time_is_refused_by_its_path(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        Instant().read(text, "created[gt]")
    assert caught.value.param == "created[gt]"


@given(
    st.dictionaries(
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        st.integers(0, 40).map(lambda quarters: Fraction(quarters, 4)),
    ),
    st.integers(0, 12),
)
def test_a_filter_lets_the_same_seconds_through(bounds: dict[str, Fraction], second: int) -> None:
    texts = {
        name: f"1970-01-01T00:00:{int(at):02}{str(float(at % 1))[1:]}Z"
        for name, at in bounds.items()
    }
    allowed = (
        second > bounds.get("gt", -1)
        and second >= bounds.get("gte", -1)
        and second < bounds.get("lt", 99)
        and second <= bounds.get("lte", 99)
    )
    found = range_of(texts)
    assert (found.start <= second < found.end) == allowed
