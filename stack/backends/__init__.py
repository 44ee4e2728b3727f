"""Small typed clients for the parts that answer questions about the running system."""
