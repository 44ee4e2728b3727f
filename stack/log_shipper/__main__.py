"""`python -m stack.log_shipper`."""

from stack.log_shipper.app import main

main()
