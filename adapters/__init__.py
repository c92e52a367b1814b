"""The bottom layer: the source interface (`base`), the error tree (`errors`) and one module per kind of source.

1. `registry` turns `adapter = "…"` of the catalog file into an object.
2. `base` says what that object can do and promises.
3. `sql` translates DuckDB SQL into a source's dialect, or says why not.
4. Each other module is one kind of source.
"""
