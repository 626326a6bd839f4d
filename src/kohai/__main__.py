"""`python -m kohai` is `kohai`."""

from kohai.cli import main

main()
