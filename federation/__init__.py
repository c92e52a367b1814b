"""Federation answers one SQL query over many systems, where the data are."""
