-- differs: tables have no row types here
select b.oid, b.typarray from pg_catalog.pg_type a left join pg_catalog.pg_type b on b.oid = a.typelem where a.typcategory = 'A' group by b.oid, b.typarray order by b.oid
--;
select current_setting('is_superuser') is not null as s, current_setting('nothing.at.all', true) as n
