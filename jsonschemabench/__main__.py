"""`python -m jsonschemabench`."""

from jsonschemabench.cli import main

if __name__ == "__main__":
    main()
