"""One script for each rule: it reads its job, calls `udpdiff` and writes. An error that was foreseen ends it in a paragraph."""

from udpdiff import quick_start, readable_errors

readable_errors.install()
quick_start.import_without_collections()
