"""`python -m netdsl` is the command `netdsl`."""

from netdsl.cli import main

if __name__ == "__main__":
    main()
