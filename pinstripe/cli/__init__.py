"""The command line: `pip install "pinstripe[cli]"` installs the command `pinstripe`.

    pinstripe demo                            show what the package does: no key, no network
    pinstripe sandbox --port 12111            run a server to develop against
    pinstripe quotes queries.csv -o out.csv   get onramp quotes for a file of queries
    pinstripe export events -o events.csv     write a list of the API to a file
    pinstripe listen --forward-to URL         deliver events of a test account to an app here
    pinstripe trigger climate.order.created   have a sandbox produce an event

`pinstripe COMMAND --help` lists the options. The key comes from `STRIPE_API_KEY`; if
`PINSTRIPE_BASE_URL` is set, a sandbox at that address is asked in place of Stripe. `listen` and
`trigger` take test keys only. `quotes` and `export` resume a run that was stopped, with `--resume`.

The exit status is the same in all commands:

    0    all went well
    1    some of it failed: the message says what
    2    the usage, the input or the environment is wrong, and nothing was sent
    130  Ctrl-C
    141  the reader of standard output stopped reading
"""

from pinstripe.cli._start import main

__all__ = ["main"]
