select id, name from {{ source("shop", "customers") }} where born is not null
