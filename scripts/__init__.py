"""One script for each rule: it reads its job, calls `udpdiff` and writes. An error that was foreseen ends it in a paragraph."""

from udpdiff import quick_start, quiet_libraries, readable_errors

readable_errors.install()
quiet_libraries.leave_out_hints()
quick_start.import_without_collections()
