select N.oid::bigint as id, datname as name, D.description, datistemplate as is_template, datallowconn as allow_connections, pg_catalog.pg_get_userbyid(N.datdba) as "owner"
from pg_catalog.pg_database N left join pg_catalog.pg_shdescription D on N.oid = D.objoid
where N.datname = 'nothing'
order by case when datname = pg_catalog.current_database() then -1::bigint else N.oid::bigint end
--;
select T.oid::bigint as id, T.spcname as name, pg_catalog.pg_get_userbyid(T.spcowner) as owner, pg_catalog.pg_tablespace_location(T.oid) as location, T.spcoptions as options
from pg_catalog.pg_tablespace T
--;
select N.oid::bigint as id, N.nspname as name, D.description, pg_catalog.pg_get_userbyid(N.nspowner) as "owner"
from pg_catalog.pg_namespace N left join pg_catalog.pg_description D on N.oid = D.objoid
where N.oid < 16384
order by case when N.nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end
--;
select case when pg_catalog.pg_is_in_recovery() then 1 else 0 end as recovering, current_setting('server_version_num')::int / 10000 as major
--;
select L.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks L where L.transactionid is not null and false
--;
select usename from pg_user where usename = current_user
--;
with languages as (select oid as lang_oid, lanname as lang from pg_catalog.pg_language),
 routines as (
 select proname as r_name, prolang as lang_oid, oid as r_id, pg_catalog.pg_get_userbyid(proowner) as r_owner, proargnames as arg_names, proargmodes as arg_modes, proargtypes::int[] as in_arg_types, proallargtypes::int[] as all_arg_types, proisstrict as is_strict, provolatile as volatile_kind, procost as cost, proretset as ret_set, prorettype as ret_type_id, prokind as kind, prosecdef as is_definer, proconfig as options
 from pg_catalog.pg_proc where pronamespace = {schema shop}::oid and prokind != 'a' )
select * from routines natural join languages
--;
select T.relkind as table_kind, T.relname as table_name, T.relpersistence as table_persistence, T.reloptions as reloptions, T.relhassubclass as has_subclasses, T.relispartition as is_partition, pg_catalog.pg_get_userbyid(T.relowner) as owner, D.description as comment, A.amname as access_method
from pg_catalog.pg_class T
left join pg_catalog.pg_am A on T.relam = A.oid
left join pg_catalog.pg_description D on D.objoid = T.oid and D.objsubid = 0 and D.classoid = 'pg_catalog.pg_class'::regclass
where relnamespace = {schema shop}::oid and relkind in ('r', 'm', 'v', 'f', 'p')
order by table_kind, table_name
--;
with T as (select T.oid as table_id, T.relname as table_name from pg_catalog.pg_class T where T.relnamespace = {schema shop}::oid and T.relkind in ('r', 'm', 'v', 'f', 'p'))
select T.table_name, C.attnum as column_position, C.attname as column_name, C.atttypmod as type_mod, C.attndims as dimensions_number, pg_catalog.format_type(C.atttypid, C.atttypmod) as type_spec, C.atttypid as type_id, C.attnotnull as mandatory, D.adbin as column_default_expression, not C.attislocal as column_is_inherited, C.attisdropped as column_is_dropped, C.attidentity as identity_kind, C.attgenerated as generated
from T join pg_catalog.pg_attribute C on T.table_id = C.attrelid left join pg_catalog.pg_attrdef D on (C.attrelid, C.attnum) = (D.adrelid, D.adnum)
where attnum > 0
order by table_name, attnum
--;
select ind_stor.relname index_name, ind_head.indkey as column_positions, ind_head.indisunique as is_unique, ind_head.indisprimary as is_primary, pg_catalog.pg_get_expr(ind_head.indpred, ind_head.indrelid) as condition, regexp_replace(regexp_replace(pg_catalog.pg_get_expr(ind_head.indexprs, ind_head.indrelid), 'a', ''), 'b', '') as expressions
from pg_catalog.pg_class tab join pg_catalog.pg_index ind_head on ind_head.indrelid = tab.oid join pg_catalog.pg_class ind_stor on tab.relnamespace = ind_stor.relnamespace and ind_stor.oid = ind_head.indexrelid
where tab.relnamespace = {schema shop}::oid and tab.relkind in ('r', 'm', 'v', 'p') and ind_stor.relkind in ('i', 'I')
--;
select T.relname table_name, C.conname as con_name, C.contype as con_kind, C.conkey as con_columns, C.confkey as ref_columns, R.relname as ref_table, C.confupdtype as on_update, C.confdeltype as on_delete, C.condeferrable as is_deferrable, pg_catalog.pg_get_expr(C.conbin, C.conrelid) as con_expression
from pg_catalog.pg_constraint C join pg_catalog.pg_class T on C.conrelid = T.oid left join pg_catalog.pg_class R on R.oid = C.confrelid
where T.relkind in ('r', 'v', 'f', 'p') and T.relnamespace = {schema shop}::oid and contype in ('p', 'u', 'f', 'c', 'x') and C.connamespace = {schema shop}::oid
