"""`python -m udpdiff` is the command `udpdiff`."""

from udpdiff.command import main

main()
