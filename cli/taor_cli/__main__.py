"""`python -m taor_cli`, which is what ./taor runs."""

from taor_cli.main import main

if __name__ == "__main__":
    main()
