"""PostgreSQL, by the parts of the protocol in `backends/base.py`."""
