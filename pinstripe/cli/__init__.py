"""The command line: `pip install "pinstripe[cli]"` installs the command `pinstripe`.

    pinstripe identity verification-sessions list    every call of the client is a command
    pinstripe request GET /v1/balance                any other endpoint
    pinstripe watch climate orders climorder_1       show the life of an object until it ends
    pinstripe events tail                            follow the log of events
    pinstripe quotes batch queries.csv -o out.csv    get onramp quotes for a file of queries
    pinstripe quotes compare ...                     draw what a currency costs on each network
    pinstripe export events -o events.csv            write a list of the API to a file
    pinstripe sandbox --port 12111                   run a server to develop against
    pinstripe trigger climate.order.created          have a sandbox produce an event
    pinstripe listen --forward-to URL                deliver events of a test account to an app here
    pinstripe replay app:router --since DATE         have a router handle the events that it missed
    pinstripe demo                                   show what the package does: no key, no network
    pinstripe completion zsh                         print what makes a shell complete words

`-h` behind any word lists the commands or options. The key comes from `STRIPE_API_KEY`, or from
the file that `--api-key-file` names; if `PINSTRIPE_BASE_URL` or `--base-url` is given, a sandbox at
that address is asked in place of Stripe. `listen` and `trigger` take test keys only.

`quotes batch` and `export` agree on files:

- `-o -` is standard output. A symbolic link, a pipe or a device is written into, never replaced.
- Only their owner may read new files. Times are in UTC as ISO 8601, and the network Base is `base`.
- `--resume` continues a run that was stopped, with the same input and options.
  `quotes batch --retry-failed` also asks again for the queries that failed.
- The texts of a CSV are written as they are; `--escape-formulas` guards those that a spreadsheet
  would run. A terminal never gets a control character.
- The last line on standard error says how much was written, and where.

The exit status is the same in all commands:

    0    all went well
    1    the API refused, or some of the work failed: the message says what
    2    the usage, the input or the environment is wrong, and nothing was sent
    3    no usable answer came
    130  Ctrl-C
    141  the reader of standard output stopped reading
"""

from pinstripe.cli._start import main

__all__ = ["main"]
