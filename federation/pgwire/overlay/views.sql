-- Relations of the overlay beside PostgreSQL's own: who asks, and what its search path shows.

CREATE TABLE pg.server AS SELECT now() AS started;

CREATE VIEW pg.search_path AS
SELECT n_.oid, min(p_.place) AS place, bool_and(p_.implicit) AS implicit
FROM (
  SELECT generate_subscripts(getvariable('session').path, 1) AS place, unnest(getvariable('session').path) AS name,
    false AS implicit
  UNION ALL SELECT 0, 'pg_catalog', true WHERE NOT list_contains(getvariable('session').path, 'pg_catalog')
) p_ JOIN pg.pg_namespace n_ ON n_.nspname = p_.name GROUP BY n_.oid;

-- `alone`: the bare name means this relation. Without a search path the names that several have mean none of them.
CREATE VIEW pg.visible_relations AS
SELECT c_.oid, getvariable('session').strict OR p_.place = 0 OR count(*) OVER (PARTITION BY c_.relname) = 1 AS alone
FROM pg.pg_class c_ JOIN pg.search_path p_ ON p_.oid = c_.relnamespace
QUALIFY NOT getvariable('session').strict
  OR row_number() OVER (PARTITION BY c_.relname ORDER BY p_.place) = 1;

CREATE VIEW pg.comments AS
SELECT d_.*, c_.relname AS catalog
FROM pg.pg_description d_ JOIN pg.pg_class c_ ON c_.oid = d_.classoid;

CREATE VIEW pg.pg_database AS
SELECT s_.* REPLACE (getvariable('session').database AS datname) FROM pg.stored_pg_database s_;

-- Without users in the catalog file anybody may be the user of a session.
CREATE VIEW pg.pg_authid AS
SELECT * FROM pg.stored_pg_authid
UNION ALL BY NAME
SELECT CAST(16382 AS UINTEGER) AS oid, getvariable('session').user AS rolname, false AS rolsuper, true AS rolinherit,
  false AS rolcreaterole, false AS rolcreatedb, true AS rolcanlogin, false AS rolreplication, false AS rolbypassrls,
  -1 AS rolconnlimit
WHERE getvariable('session').user NOT IN (SELECT rolname FROM pg.stored_pg_authid);

CREATE VIEW pg.pg_settings AS
SELECT s_.* REPLACE (coalesce(getvariable('session').settings[
  list_position(getvariable('session').names, lower(s_.name))], s_.setting) AS setting)
FROM pg.stored_pg_settings s_
UNION ALL BY NAME
SELECT n_.name, getvariable('session').settings[n_.place] AS setting, 'Federation' AS category, 'user' AS context,
  'string' AS vartype, 'session' AS source, false AS pending_restart
FROM (SELECT unnest(getvariable('session').names) AS name,
  generate_subscripts(getvariable('session').names, 1) AS place) n_
WHERE n_.name NOT IN (SELECT lower(name) FROM pg.stored_pg_settings);
