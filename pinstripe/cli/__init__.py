"""The command line: `pip install "pinstripe[cli]"` installs the command `pinstripe`.

    pinstripe demo                            show what the package does: no key, no network
    pinstripe sandbox --port 12111            run a server to develop against
    pinstripe quotes queries.csv -o out.csv   get onramp quotes for a file of queries
    pinstripe export events -o events.csv     write a list of the API to a file
    pinstripe listen --forward-to URL         deliver events of a test account to an app here
    pinstripe trigger climate.order.created   have a sandbox produce an event
    pinstripe replay app:router --since DATE  have a router handle the events that it missed

`pinstripe COMMAND --help` lists the options. The key comes from `STRIPE_API_KEY`; if
`PINSTRIPE_BASE_URL` is set, a sandbox at that address is asked in place of Stripe. `listen` and
`trigger` take test keys only.

`quotes` and `export` agree on files:

- `-o -` is standard output. A symbolic link, a pipe or a device is written into, never replaced.
- Only their owner may read new files. Times are in UTC as ISO 8601, and the network Base is `base`.
- `--resume` continues a run that was stopped, with the same input and options.
  `quotes --retry-failed` also asks again for the queries that failed.
- The texts of a CSV are written as they are; `--escape-formulas` guards those that a spreadsheet
  would run. A terminal never gets a control character.
- The last line on standard error says how much was written, and where.

The exit status is the same in all commands:

    0    all went well
    1    some of it failed, or a run had no use: the message says what
    2    the usage, the input or the environment is wrong, and nothing was sent
    130  Ctrl-C
    141  the reader of standard output stopped reading
"""

from pinstripe.cli._start import main

__all__ = ["main"]
