-- PostgreSQL's functions over the catalog, for DuckDB. The arguments come qualified, so that no name of a macro's own
-- tables can capture them; those tables have names that end in an underscore for the same reason. Parameters begin with
-- in_: DuckDB takes no column of their name.

-- Who asks: set for each query.
CREATE MACRO pg.current_database() AS getvariable('session').database;
CREATE MACRO pg.current_catalog() AS getvariable('session').database;
CREATE MACRO pg.current_user() AS getvariable('session').user;
CREATE MACRO pg.session_user() AS getvariable('session').user;
CREATE MACRO pg.current_role() AS getvariable('session').user;
CREATE MACRO pg.user() AS getvariable('session').user;
CREATE MACRO pg.version() AS getvariable('session').version;
CREATE MACRO pg.pg_backend_pid() AS getvariable('session').pid;
CREATE MACRO pg.pg_cancel_backend(in_pid) AS
  end_session(getvariable('session').key, CAST(in_pid AS INTEGER), 'cancel', 0);
CREATE MACRO pg.pg_terminate_backend(in_pid) AS
  end_session(getvariable('session').key, CAST(in_pid AS INTEGER), 'terminate', 0),
  (in_pid, in_timeout) AS
  end_session(getvariable('session').key, CAST(in_pid AS INTEGER), 'terminate', CAST(in_timeout AS INTEGER));
CREATE MACRO pg.current_schemas(in_implicit) AS CASE WHEN in_implicit AND getvariable('session').implicit
  THEN list_prepend('pg_catalog', getvariable('session').schemas) ELSE getvariable('session').schemas END;
CREATE MACRO pg.current_schema() AS getvariable('session').schemas[1];
CREATE MACRO pg.setting(in_name) AS coalesce(
  getvariable('session').settings[list_position(getvariable('session').names, lower(in_name))],
  (SELECT s_.setting FROM pg.stored_pg_settings s_ WHERE lower(s_.name) = lower(in_name)));
CREATE MACRO pg.current_setting(in_name) AS
    coalesce(pg.setting(in_name), error('unrecognized configuration parameter "' || in_name || '"')),
  (in_name, in_missing) AS CASE WHEN in_missing THEN pg.setting(in_name) ELSE
    coalesce(pg.setting(in_name), error('unrecognized configuration parameter "' || in_name || '"')) END;
CREATE MACRO pg.set_config(in_name, in_value, in_local) AS CASE lower(in_name) WHEN 'jit' THEN in_value
  ELSE error('"' || in_name || '" is not set by set_config: use SET') END;
CREATE MACRO pg.pg_is_in_recovery() AS false;
CREATE MACRO pg.pg_is_wal_replay_paused() AS false;
CREATE MACRO pg.pg_postmaster_start_time() AS (SELECT s_.started FROM pg.server s_);
CREATE MACRO pg.pg_conf_load_time() AS (SELECT s_.started FROM pg.server s_);
CREATE MACRO pg.inet_server_addr() AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.inet_server_port() AS CAST(NULL AS INTEGER);
CREATE MACRO pg.inet_client_addr() AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.inet_client_port() AS CAST(NULL AS INTEGER);
CREATE MACRO pg.pg_client_encoding() AS 'UTF8';
CREATE MACRO pg.getdatabaseencoding() AS 'UTF8';
CREATE MACRO pg.pg_encoding_to_char(in_number) AS coalesce([
   'SQL_ASCII', 'EUC_JP', 'EUC_CN', 'EUC_KR', 'EUC_TW', 'EUC_JIS_2004', 'UTF8', 'MULE_INTERNAL', 'LATIN1', 'LATIN2',
   'LATIN3', 'LATIN4', 'LATIN5', 'LATIN6', 'LATIN7', 'LATIN8', 'LATIN9', 'LATIN10', 'WIN1256', 'WIN1258', 'WIN866',
   'WIN874', 'KOI8R', 'WIN1251', 'WIN1252', 'ISO_8859_5', 'ISO_8859_6', 'ISO_8859_7', 'ISO_8859_8', 'WIN1250',
   'WIN1253', 'WIN1254', 'WIN1255', 'WIN1257', 'KOI8U', 'SJIS', 'BIG5', 'GBK', 'UHC', 'GB18030', 'JOHAB',
   'SHIFT_JIS_2004'
  ][in_number + 1], '');
CREATE MACRO pg.pg_char_to_encoding(in_name) AS CASE WHEN upper(in_name) IN ('UTF8', 'UTF-8') THEN 6 ELSE -1 END;
CREATE MACRO pg.pg_encoding_max_length(in_number) AS 4;
CREATE MACRO pg.txid_current() AS CAST(getvariable('session').generation AS BIGINT);
CREATE MACRO pg.txid_current_if_assigned() AS CAST(NULL AS BIGINT);
CREATE MACRO pg.pg_current_xact_id() AS CAST(getvariable('session').generation AS VARCHAR);
CREATE MACRO pg.pg_my_temp_schema() AS CAST(0 AS UINTEGER);
CREATE MACRO pg.pg_is_other_temp_schema(in_schema) AS false;
CREATE MACRO pg.pg_jit_available() AS false;
CREATE MACRO pg.pg_listening_channels() AS CAST([] AS VARCHAR[]);
CREATE MACRO pg.age(in_id) AS CAST(getvariable('session').generation AS INTEGER) - CAST(in_id AS INTEGER);

-- Names.
CREATE MACRO pg.quote_ident(in_name) AS CASE
  WHEN regexp_full_match(in_name, '[a-z_][a-z0-9_]*') AND in_name NOT IN (SELECT k_.word FROM pg.keywords k_ WHERE k_.catcode <> 'U') THEN in_name
  ELSE '"' || replace(in_name, '"', '""') || '"' END;
CREATE TABLE pg.function_names AS
SELECT p_.oid, CASE WHEN count(*) OVER (PARTITION BY p_.proname) > 1 OR n_.nspname <> 'pg_catalog'
  THEN n_.nspname || '.' ELSE '' END || pg.quote_ident(p_.proname) AS name
FROM pg.pg_proc p_ JOIN pg.pg_namespace n_ ON n_.oid = p_.pronamespace;
CREATE MACRO pg.quote_literal(in_value) AS
  CASE WHEN contains(CAST(in_value AS VARCHAR), '\') THEN ' E' ELSE '' END
  || '''' || replace(replace(CAST(in_value AS VARCHAR), '''', ''''''), '\', '\\') || '''';
CREATE MACRO pg.quote_nullable(in_value) AS coalesce(pg.quote_literal(in_value), 'NULL');
CREATE MACRO pg.name_parts(in_name) AS [
    CASE WHEN part[1] = '"' THEN replace(part[2:-2], '""', '"') ELSE lower(part) END
    FOR part IN regexp_extract_all(in_name, '"(?:[^"]|"")*"|[^.\s"]+')];
CREATE MACRO pg.parse_ident(in_name) AS pg.name_parts(in_name), (in_name, in_strict) AS pg.name_parts(in_name);
CREATE MACRO pg.pg_get_userbyid(in_role) AS coalesce(
  (SELECT r_.rolname FROM pg.pg_authid r_ WHERE r_.oid = in_role), 'unknown (OID=' || in_role || ')');
CREATE MACRO pg.with_modifier(in_name, in_type, in_modifier) AS CASE
  WHEN in_modifier IS NULL THEN in_name
  WHEN in_modifier = -1 THEN CASE in_type WHEN 1042 THEN 'bpchar' WHEN 1014 THEN 'bpchar[]' ELSE in_name END
  WHEN in_type IN (1042, 1043) THEN in_name || '(' || (in_modifier - 4) || ')'
  WHEN in_type IN (1014, 1015) THEN in_name[:-3] || '(' || (in_modifier - 4) || ')[]'
  WHEN in_type = 1700 THEN in_name || '(' || ((in_modifier - 4) >> 16) || ',' || ((in_modifier - 4) & 2047) || ')'
  WHEN in_type = 1231 THEN 'numeric(' || ((in_modifier - 4) >> 16) || ',' || ((in_modifier - 4) & 2047) || ')[]'
  WHEN in_type IN (1560, 1562) THEN in_name || '(' || in_modifier || ')'
  WHEN in_type IN (1083, 1114, 1184, 1266) THEN regexp_replace(in_name, '^\w+', '\0(' || in_modifier || ')')
  ELSE in_name END;
CREATE MACRO pg.format_type(in_type, in_modifier) AS CASE
  WHEN in_type IS NULL THEN NULL WHEN in_type = 0 THEN '-'
  ELSE coalesce((SELECT pg.with_modifier(t_.name, in_type, in_modifier) FROM pg.type_names t_ WHERE t_.oid = in_type), '???')
  END;
CREATE MACRO pg.to_regclass(in_name) AS (
  SELECT max(c_.oid) FROM pg.pg_class c_ JOIN pg.pg_namespace n_ ON n_.oid = c_.relnamespace
  LEFT JOIN pg.visible_relations v_ ON v_.oid = c_.oid
  WHERE c_.relname = pg.name_parts(in_name)[-1]
  AND coalesce(n_.nspname = pg.name_parts(in_name)[-2], v_.oid IS NOT NULL));
CREATE MACRO pg.to_regtype(in_name) AS (
  SELECT max(t_.oid) FROM pg.type_names t_ JOIN pg.pg_type p_ USING (oid)
  WHERE lower(in_name) IN (t_.name, p_.typname, 'pg_catalog.' || p_.typname));
CREATE MACRO pg.to_regproc(in_name) AS (
  SELECT CASE count(*) WHEN 1 THEN max(p_.oid) END FROM pg.pg_proc p_ WHERE p_.proname = pg.name_parts(in_name)[-1]);
CREATE MACRO pg.to_regnamespace(in_name) AS (
  SELECT n_.oid FROM pg.pg_namespace n_ WHERE n_.nspname = pg.name_parts(in_name)[1]);
CREATE MACRO pg.to_regrole(in_name) AS (SELECT r_.oid FROM pg.pg_authid r_ WHERE r_.rolname = pg.name_parts(in_name)[1]);
CREATE MACRO pg.regclass_text(in_number) AS CASE WHEN in_number = 0 THEN '-' ELSE coalesce((
  SELECT CASE WHEN list_contains(getvariable('session').numbers, c_.relnamespace)
      AND NOT list_contains(getvariable('session').hidden, c_.oid)
      AND NOT list_contains(getvariable('session').shared, c_.oid)
    THEN '' ELSE pg.quote_ident(n_.nspname) || '.' END || pg.quote_ident(c_.relname)
  FROM pg.pg_class c_ JOIN pg.pg_namespace n_ ON n_.oid = c_.relnamespace WHERE c_.oid = in_number), CAST(in_number AS VARCHAR)) END;
CREATE MACRO pg.regtype_text(in_number) AS CASE WHEN in_number = 0 THEN '-' ELSE coalesce(
  (SELECT t_.name FROM pg.type_names t_ WHERE t_.oid = in_number), CAST(in_number AS VARCHAR)) END;
CREATE MACRO pg.regproc_text(in_number) AS CASE WHEN in_number = 0 THEN '-' ELSE coalesce(
  (SELECT p_.name FROM pg.function_names p_ WHERE p_.oid = in_number), CAST(in_number AS VARCHAR)) END;
CREATE MACRO pg.regnamespace_text(in_number) AS CASE WHEN in_number = 0 THEN '-' ELSE coalesce(
  (SELECT pg.quote_ident(n_.nspname) FROM pg.pg_namespace n_ WHERE n_.oid = in_number), CAST(in_number AS VARCHAR)) END;
CREATE MACRO pg.regrole_text(in_number) AS CASE WHEN in_number = 0 THEN '-' ELSE coalesce(
  (SELECT pg.quote_ident(r_.rolname) FROM pg.pg_authid r_ WHERE r_.oid = in_number), CAST(in_number AS VARCHAR)) END;
CREATE MACRO pg.nameconcatoid(in_name, in_number) AS in_name || '_' || CAST(in_number AS VARCHAR);

-- Comments and definitions.
CREATE MACRO pg.obj_description(in_object, in_catalog) AS (
    SELECT max(d_.description) FROM pg.comments d_
    WHERE d_.objoid = in_object AND d_.objsubid = 0 AND d_.catalog = in_catalog),
  (in_object) AS (SELECT max(d_.description) FROM pg.comments d_ WHERE d_.objoid = in_object AND d_.objsubid = 0);
CREATE MACRO pg.col_description(in_relation, in_number) AS (
  SELECT max(d_.description) FROM pg.comments d_
  WHERE d_.objoid = in_relation AND d_.objsubid = in_number AND d_.catalog = 'pg_class');
CREATE MACRO pg.shobj_description(in_object, in_catalog) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_viewdef(in_relation) AS (
    SELECT v_.definition FROM pg.view_texts v_ WHERE v_.oid = in_relation),
  (in_relation, in_pretty) AS (SELECT v_.definition FROM pg.view_texts v_ WHERE v_.oid = in_relation);
CREATE MACRO pg.pg_get_indexdef(in_relation) AS (
    SELECT i_.definition FROM pg.index_texts i_ WHERE i_.oid = in_relation),
  (in_relation, in_number, in_pretty) AS CASE
    WHEN in_number > 0 THEN (SELECT pg.quote_ident(a_.attname) FROM pg.pg_attribute a_
      WHERE a_.attrelid = in_relation AND a_.attnum = in_number)
    ELSE (SELECT CASE WHEN in_pretty THEN regexp_replace(t_.definition, ' ON .* USING ',
        ' ON ' || replace(pg.regclass_text(i_.indrelid), '\', '\\') || ' USING ') ELSE t_.definition END
      FROM pg.index_texts t_ JOIN pg.pg_index i_ ON i_.indexrelid = t_.oid WHERE t_.oid = in_relation) END;
CREATE MACRO pg.pg_get_constraintdef(in_number) AS (
    SELECT c_.definition FROM pg.constraint_texts c_ WHERE c_.oid = in_number),
  (in_number, in_pretty) AS (
    SELECT CASE WHEN k_.contype = 'f' AND in_pretty AND k_.oid >= 16384
      THEN regexp_replace(c_.definition, ' REFERENCES .*(\([^()]*\))$',
        ' REFERENCES ' || replace(pg.regclass_text(k_.confrelid), '\', '\\') || '\1')
      ELSE c_.definition END
    FROM pg.constraint_texts c_ JOIN pg.pg_constraint k_ USING (oid) WHERE c_.oid = in_number);
CREATE MACRO pg.pg_get_expr(in_expression, in_relation) AS CAST(in_expression AS VARCHAR),
  (in_expression, in_relation, in_pretty) AS CAST(in_expression AS VARCHAR);
CREATE MACRO pg.pg_get_function_arguments(in_number) AS (
  SELECT f_.arguments FROM pg.function_texts f_ WHERE f_.oid = in_number);
CREATE MACRO pg.pg_get_function_identity_arguments(in_number) AS (
  SELECT f_.identity FROM pg.function_texts f_ WHERE f_.oid = in_number);
CREATE MACRO pg.pg_get_function_result(in_number) AS (
  SELECT f_.result FROM pg.function_texts f_ WHERE f_.oid = in_number);
CREATE MACRO pg.pg_get_function_arg_default(in_number, in_argument) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_function_sqlbody(in_number) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_functiondef(in_number) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_ruledef(in_number) AS CAST(NULL AS VARCHAR), (in_number, pretty) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_triggerdef(in_number) AS CAST(NULL AS VARCHAR), (in_number, pretty) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_partkeydef(in_number) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_partition_constraintdef(in_number) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_statisticsobjdef(in_number) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_statisticsobjdef_columns(in_number) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_get_statisticsobjdef_expressions(in_number) AS CAST(NULL AS VARCHAR[]);
CREATE MACRO pg.pg_get_serial_sequence(in_relation, in_attribute) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_describe_object(in_catalog, in_object, in_part) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg.pg_sequence_last_value(in_relation) AS CAST(NULL AS BIGINT);

-- Visibility. All functions, operators and so on are those of pg_catalog, but for a few of information_schema.
CREATE MACRO pg.pg_table_is_visible(in_number) AS in_number IN (SELECT v_.oid FROM pg.visible_relations v_);
CREATE MACRO pg.pg_type_is_visible(in_number) AS
  in_number IN (
    SELECT t_.oid FROM pg.pg_type t_ WHERE list_contains(getvariable('session').numbers, t_.typnamespace));
CREATE MACRO pg.pg_function_is_visible(in_number) AS
  in_number IN (
    SELECT f_.oid FROM pg.pg_proc f_ WHERE list_contains(getvariable('session').numbers, f_.pronamespace));
CREATE MACRO pg.pg_operator_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_opclass_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_opfamily_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_collation_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_conversion_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_statistics_obj_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_ts_config_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_ts_dict_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_ts_parser_is_visible(in_number) AS in_number IS NOT NULL;
CREATE MACRO pg.pg_ts_template_is_visible(in_number) AS in_number IS NOT NULL;

-- Privileges: everything can be read, and nothing written.
CREATE MACRO pg.reads(in_object, in_privilege) AS CASE WHEN in_object IS NOT NULL
  THEN regexp_matches(in_privilege, '(SELECT|USAGE|CONNECT|EXECUTE|MEMBER)', 'i') END;
CREATE MACRO pg.has_table_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_any_column_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_column_privilege(in_object, in_part, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_part, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_schema_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_database_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_sequence_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_function_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_language_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_type_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_tablespace_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_server_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_foreign_data_wrapper_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.has_parameter_privilege(in_object, in_privilege) AS pg.reads(in_object, in_privilege),
  (in_who, in_object, in_privilege) AS pg.reads(in_object, in_privilege);
CREATE MACRO pg.pg_has_role(in_role, in_privilege) AS in_role IS NOT NULL, (who, in_role, in_privilege) AS in_role IS NOT NULL;
CREATE MACRO pg.row_security_active(in_relation) AS false;
CREATE MACRO pg.acldefault(in_kind, in_owner) AS CAST([] AS VARCHAR[]);
CREATE MACRO pg.aclexplode(in_list) AS CAST([] AS
  STRUCT(grantor UINTEGER, grantee UINTEGER, privilege_type VARCHAR, is_grantable BOOLEAN)[]);

-- Sizes are not known here, and nothing can be written or published.
CREATE MACRO pg.pg_relation_size(in_relation) AS CAST(NULL AS BIGINT), (in_relation, fork) AS CAST(NULL AS BIGINT);
CREATE MACRO pg.pg_table_size(in_relation) AS CAST(NULL AS BIGINT);
CREATE MACRO pg.pg_indexes_size(in_relation) AS CAST(NULL AS BIGINT);
CREATE MACRO pg.pg_total_relation_size(in_relation) AS CAST(NULL AS BIGINT);
CREATE MACRO pg.pg_database_size(in_database) AS CAST(NULL AS BIGINT);
CREATE MACRO pg.pg_tablespace_size(in_tablespace) AS CAST(NULL AS BIGINT);
CREATE MACRO pg.pg_tablespace_location(in_tablespace) AS '';
CREATE MACRO pg.pg_relation_filenode(in_relation) AS CAST(NULL AS UINTEGER);
CREATE MACRO pg.pg_relation_is_publishable(in_relation) AS false;
CREATE MACRO pg.pg_relation_is_updatable(in_relation, in_triggers) AS 0;
CREATE MACRO pg.pg_column_is_updatable(in_relation, in_attribute, in_triggers) AS false;
CREATE MACRO pg.pg_partition_ancestors(in_relation) AS CAST([] AS UINTEGER[]);
CREATE MACRO pg.pg_options_to_table(in_options) AS CAST([] AS STRUCT(option_name VARCHAR, option_value VARCHAR)[]);

-- Arrays. int2vector and oidvector count from 0: those are rewritten before.
CREATE MACRO pg.array_upper(in_list, in_dimension) AS
  CASE WHEN in_dimension = 1 AND len(in_list) > 0 THEN CAST(len(in_list) AS INTEGER) END;
CREATE MACRO pg.array_lower(in_list, in_dimension) AS CASE WHEN in_dimension = 1 AND len(in_list) > 0 THEN 1 END;
CREATE MACRO pg._pg_expandarray(in_list) AS
  list_transform(range(1, len(in_list) + 1), lambda i_: {'x': in_list[i_], 'n': CAST(i_ AS INTEGER)});
CREATE MACRO pg._pg_index_position(in_relation, in_number) AS (
  SELECT CAST(list_position(i_.indkey, in_number) AS INTEGER) FROM pg.pg_index i_ WHERE i_.indexrelid = in_relation);

-- information_schema's own.
CREATE MACRO pg._pg_char_max_length(in_type, in_modifier) AS CASE
  WHEN in_modifier = -1 THEN NULL WHEN in_type IN (1042, 1043) THEN in_modifier - 4 WHEN in_type IN (1560, 1562) THEN in_modifier END;
CREATE MACRO pg._pg_char_octet_length(in_type, in_modifier) AS CASE WHEN in_type IN (25, 1042, 1043)
  THEN CASE WHEN in_modifier = -1 THEN 1073741824 ELSE pg._pg_char_max_length(in_type, in_modifier) * 4 END END;
CREATE MACRO pg._pg_numeric_precision(in_type, in_modifier) AS CASE in_type
  WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
  WHEN 1700 THEN CASE WHEN in_modifier <> -1 THEN ((in_modifier - 4) >> 16) & 65535 END END;
CREATE MACRO pg._pg_numeric_precision_radix(in_type, in_modifier) AS
  CASE WHEN in_type IN (20, 21, 23, 700, 701) THEN 2 WHEN in_type = 1700 THEN 10 END;
CREATE MACRO pg._pg_numeric_scale(in_type, in_modifier) AS
  CASE WHEN in_type IN (20, 21, 23) THEN 0 WHEN in_type = 1700 AND in_modifier <> -1 THEN (in_modifier - 4) & 65535 END;
CREATE MACRO pg._pg_datetime_precision(in_type, in_modifier) AS CASE
  WHEN in_type = 1082 THEN 0
  WHEN in_type IN (1083, 1114, 1184, 1266) THEN CASE WHEN in_modifier < 0 THEN 6 ELSE in_modifier END
  WHEN in_type = 1186 THEN CASE WHEN in_modifier < 0 OR (in_modifier & 65535) = 65535 THEN 6 ELSE in_modifier & 65535 END END;
CREATE MACRO pg._pg_interval_type(in_type, in_modifier) AS CAST(NULL AS VARCHAR);
