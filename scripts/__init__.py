"""One script for each rule: it reads its job, calls `udpdiff` and writes. An error that was foreseen ends it in a paragraph."""

from udpdiff.readable_errors import install

install()
