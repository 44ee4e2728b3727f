"""The order flow as users of FastAPI, FastStream and SQLAlchemy write it."""
