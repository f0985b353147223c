"""Lists of the API written to files of JSON lines, CSV or Parquet, or read as streams of Arrow.

```python
import asyncio
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:  # the key comes from STRIPE_API_KEY
        sessions = stripe.identity.verification_sessions.list(status="verified")
        count = await pinstripe.export.to_file(sessions, "sessions.csv", overwrite=True)
        print(f"{count} sessions in sessions.csv")


asyncio.run(main())
```

Any list can be exported; it goes from the newest object to the oldest. The ending of the file's
name chooses the format, or `format="jsonl"`, `"csv"` or `"parquet"` does. Parquet needs pyarrow:
`pip install "pinstripe[parquet]"`. `pinstripe.sync.to_file` does the same without await, and
`pinstripe export` on the command line.

A list with a filter by `created` is read in parallel, `windows` requests at once; any other list is
read page after page. `on_progress` is called with an `ExportProgress` for each hundred objects.

`to_arrow` gives a list to polars, DuckDB, pandas, pyarrow and every other reader of Arrow streams,
without a file in between: see the guide "Frames and notebooks".

## What is in the file

- An object is a row, and each of its fields is a column. The columns depend on the resource only,
  so two exports of one resource always have the same columns.
- A field of a nested object is named by the path to it, such as
  `options.document.require_live_capture`. The network Base is `base`, as in arguments.
- An object that the API can also send as its id is a column of ids. A list, metadata or the object
  of an event is a column of JSON text.
- Values are exact. Decimals are text in JSON lines and CSV, and `decimal128(38, 18)` in Parquet; a
  value that does not fit is an error and is never rounded. Times are in UTC: as ISO 8601, or as
  microseconds in Parquet. An empty cell of CSV is None.
- Texts of a CSV are written as they are, so a spreadsheet runs one that starts with `=`, `+`, `-`,
  `@`, a tab or a carriage return. `escape_formulas=True` puts an apostrophe in front of it;
  numbers stay as they are.

## Private fields

What can identify a person, such as the name on a document, and secrets are left out, because a file
travels further than a value in memory. `reveal=True` writes these fields too. Only the owner of the
file may read it, with or without them.

## Resume and overwrite

The file appears under its name when it is complete. Until then its rows are in hidden files beside
it, with a checkpoint after each thousand objects.

- `resume=True` continues an export, whatever stopped it: an error, a cancellation, `kill -9` or a
  power failure. It must be the same list, with the same filters, format and columns. If nothing was
  begun, it starts at the first object.
- `overwrite=True` allows the output to replace an existing file, which stays as it is until then.
  Without `resume`, it also discards an unfinished export; a resumed export keeps the permission.
- With neither, an existing file or an unfinished export is an error, and nothing is sent.

One export at a time may write a file; a second one is refused, from another process too.

## Objects that do not fit

An object that does not fit its class ends an export with an `UnfitError`. `list(...).skip_unfit(f)`
goes on without it, and calls `f` with the error, which names the object; with `resume=True` it
continues the export that has ended so.

## Parts and object stores

An output can be an address in an object store, such as `s3://bucket/sessions.parquet`: the file is
written on this machine, and uploaded when it is complete; `resume=True` continues it here.
`plan`, `write_part` and `join` export the lists of one or of many accounts in parts, which any
number of processes can write. The guide "Exports in parts" shows both.

## Links, pipes and devices

A symbolic link stays, and the file that it leads to is written. A named pipe, a device, or an open
file such as `/dev/stdout` gets the rows as they come: nothing is beside it, several exports may
write to it, and there is nothing to resume. A terminal gets control characters escaped. No link in
the place of a hidden file is followed.

## Memory

Memory does not grow with the list. 1,000,000 sessions took 75 s and 56 MB at the most as JSON
lines, 59 s and 106 MB as Parquet, of which 73 MB are imports
(`EXPORT_SIZES=1000,1000000 python -m nox -s bench -- exports`).
"""

from pinstripe.export._arrow import ArrowStream, to_arrow
from pinstripe.export._export import ExportProgress, to_file
from pinstripe.export._join import join
from pinstripe.export._part import Manifest, Part, PartReceipt, Plan
from pinstripe.export._plan import plan
from pinstripe.export._write import write_part

__all__ = [
    "ArrowStream",
    "ExportProgress",
    "Manifest",
    "Part",
    "PartReceipt",
    "Plan",
    "join",
    "plan",
    "to_arrow",
    "to_file",
    "write_part",
]
