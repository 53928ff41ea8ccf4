"""A history played on scratch databases: every revision up, down and up again."""
