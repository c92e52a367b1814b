-- Relations of the overlay beside PostgreSQL's own, and what the session adds to those. getvariable('session') is the
-- struct of session.py.

CREATE TABLE pg.server AS SELECT now() AS started;

-- `alone`: the bare name means this relation.
CREATE VIEW pg.visible_relations AS
SELECT c_.oid, NOT list_contains(getvariable('session').shared, c_.oid) AS alone
FROM pg.pg_class c_
WHERE list_contains(getvariable('session').numbers, c_.relnamespace)
  AND NOT list_contains(getvariable('session').hidden, c_.oid);

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
WHERE getvariable('session').guest;

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

-- Those that may not be seen closely have no times.
CREATE VIEW pg.pg_stat_activity AS
SELECT * FROM pg.stored_pg_stat_activity
UNION ALL BY NAME
SELECT s_.* REPLACE (make_timestamptz(s_.backend_start) AS backend_start, make_timestamptz(s_.xact_start) AS xact_start,
    make_timestamptz(s_.query_start) AS query_start, make_timestamptz(s_.state_change) AS state_change),
  d_.oid AS datid, u_.oid AS usesysid, CASE WHEN s_.backend_start IS NOT NULL THEN 'client backend' END AS backend_type
FROM (SELECT unnest(sessions_shown_to(getvariable('session').key), max_depth := 2)) s_
LEFT JOIN pg.pg_database d_ ON d_.datname = s_.datname
LEFT JOIN pg.pg_authid u_ ON u_.rolname = s_.usename;
