"""All that knows a kind of database: one folder for each."""
