SELECT oid, typname, typreceive, typbasetype, typarray, typrelid FROM pg_catalog.pg_type WHERE (typreceive != 0 OR typname = 'aclitem') AND typtype != 'r' AND typreceive::TEXT != 'array_recv' AND oid < 16384
--;
SELECT attrelid, attname, atttypid FROM pg_catalog.pg_attribute WHERE attnum > 0 AND attrelid = 'pg_am'::regclass ORDER BY attrelid, attnum
--;
SELECT attname, atttypid FROM pg_catalog.pg_class AS cls INNER JOIN pg_catalog.pg_attribute AS attr ON cls.oid = attr.attrelid INNER JOIN pg_catalog.pg_type AS typ ON attr.atttypid = typ.oid WHERE attr.attnum >= 0 AND cls.oid = 'orders'::regclass::oid ORDER BY attr.attnum
--;
SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 't' THEN 'TOAST table' WHEN 'f' THEN 'foreign table' WHEN 'p' THEN 'partitioned table' END AS reltype FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE pg_catalog.pg_table_is_visible(c.oid) AND c.relkind = 'r' AND n.nspname = 'shop'
--;
SELECT con.conname, con.contype, ARRAY(SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = con.conrelid AND attnum = ANY(con.conkey)) AS names, (SELECT relname FROM pg_catalog.pg_class WHERE oid = con.confrelid) AS fk FROM pg_catalog.pg_constraint con WHERE con.conrelid = 'shop.orders'::regclass
