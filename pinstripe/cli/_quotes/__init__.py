"""The command `pinstripe quotes`: from rows of an input to rows of quotes.

Here are the command itself, the queries that it reads, the rows that it writes and the file that it
writes them to. Only the command line imports it, since no other command has an input of rows.
"""
