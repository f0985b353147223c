"""The command `pinstripe quotes`: from queries in a file to rows of quotes.

It has a package of its own, since no other command reads a file of rows:

- `queries` reads and checks the input;
- `rows` makes the rows of the output, and reads them back;
- `output` finds out what a resumed run keeps of its output;
- `command` is the command.
"""
