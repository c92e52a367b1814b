SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' AND nspname <> 'information_schema' ORDER BY nspname
--;
SELECT datname FROM pg_database WHERE datistemplate = false AND datname = current_database()
--;
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_class.relpersistence != 't' AND pg_catalog.pg_namespace.nspname = 'shop'
--;
SELECT pg_get_functiondef(oid) IS NULL FROM pg_proc WHERE false
--;
SELECT relname, reltuples FROM pg_class WHERE false
--;
SELECT json_build_object('name', attname, 'number', attnum) FROM pg_attribute WHERE attrelid = 'shop.customers'::regclass AND attnum > 0 ORDER BY attnum
