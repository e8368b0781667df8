"""`python -m safebench`: the command line without its script on the path."""

from safebench.cli.main import main

if __name__ == "__main__":
    main()
