"""The columns of a result as PostgreSQL's bytes.

`columns` finds the form of each type, `texts` and `binaries` make it, by whole columns; `segments` joins the columns
into rows.
"""
