{{ config(materialized="table") }}
select c.name, count(o.id) as orders
from {{ source("shop", "customers") }} c left join {{ source("shop", "orders") }} o on o.customer = c.id
group by c.name
