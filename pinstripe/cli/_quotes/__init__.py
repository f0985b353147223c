"""The command `pinstripe quotes batch`: from queries in a file to rows of quotes.

It has a package of its own, since no other command reads a file of rows:

- `queries` reads and checks the lines of the input, and `faults` says what is wrong with them;
- `source` is the input as a whole;
- `rows` makes the rows of the output, and reads them back;
- `output` finds out what a later run keeps of its output;
- `stop` decides when a run has no use;
- `run` asks and writes;
- `command` is the command.
"""
