"""`python -m guided` is the command `guided`."""

from guided.cli import main

if __name__ == "__main__":
    main()
