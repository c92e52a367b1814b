"""What exists: the catalog file, names to tables, schemas and views."""
