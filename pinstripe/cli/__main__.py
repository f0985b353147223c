"""`python -m pinstripe.cli` is the command `pinstripe`."""

from pinstripe.cli import main

if __name__ == "__main__":
    main()
