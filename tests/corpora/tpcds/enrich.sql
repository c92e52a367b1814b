-- At its smallest scale the generator makes one store, one warehouse, one call centre, one reason: joins over them say
-- little. So there are more of each, spread over the facts, and only those days and seconds that queries can meet.
CREATE MACRO varied(names, n) AS names[1 + n % len(names)];

INSERT INTO store
SELECT store.* REPLACE (
  n AS s_store_sk,
  'AAAAAAAA' || chr(64 + n::INTEGER) || 'AAAAAAA' AS s_store_id,
  varied(['able', 'ese', 'anti', 'cally', 'ation'], n) AS s_store_name,
  2 * n AS s_market_id,
  200 + 10 * n AS s_number_employees,
  IF(n % 2 = 0, s_county, ca_county) AS s_county,
  IF(n % 2 = 0, s_state, ca_state) AS s_state,
  IF(n % 2 = 0, s_zip, ca_zip) AS s_zip,
  IF(n % 2 = 0, s_city, ca_city) AS s_city,
  IF(n = 5, NULL, s_closed_date_sk) AS s_closed_date_sk)
FROM store, range(2, 7) AS numbers(n) 
JOIN customer ON c_customer_sk = 10 * n JOIN customer_address ON ca_address_sk = c_current_addr_sk;
UPDATE store_sales SET ss_store_sk = 1 + ss_ticket_number % 6 WHERE ss_store_sk IS NOT NULL;
UPDATE store_returns SET sr_store_sk = 1 + sr_ticket_number % 6 WHERE sr_store_sk IS NOT NULL;

INSERT INTO warehouse
SELECT warehouse.* REPLACE (
  n AS w_warehouse_sk,
  'AAAAAAAA' || chr(64 + n::INTEGER) || 'AAAAAAA' AS w_warehouse_id,
  IF(n = 4, NULL, 'Warehouse number ' || n) AS w_warehouse_name,
  varied(['TN', 'GA', 'KS'], n) AS w_state)
FROM warehouse, range(2, 5) AS numbers(n);
UPDATE inventory SET inv_warehouse_sk = 1 + inv_item_sk % 4;
UPDATE catalog_sales SET cs_warehouse_sk = 1 + cs_item_sk % 4 WHERE cs_warehouse_sk IS NOT NULL;
UPDATE catalog_returns SET cr_warehouse_sk = 1 + cr_item_sk % 4 WHERE cr_warehouse_sk IS NOT NULL;
-- One order is shipped from several warehouses.
UPDATE web_sales SET ws_warehouse_sk = 1 + ws_item_sk % 4 WHERE ws_warehouse_sk IS NOT NULL;

INSERT INTO reason
SELECT n, 'AAAAAAAA' || chr(64 + n::INTEGER) || 'AAAAAAA', 'reason ' || n FROM range(2, 31) AS numbers(n);
UPDATE store_returns SET sr_reason_sk = 1 + sr_item_sk % 30 WHERE sr_reason_sk IS NOT NULL;
UPDATE catalog_returns SET cr_reason_sk = 1 + cr_item_sk % 30 WHERE cr_reason_sk IS NOT NULL;
UPDATE web_returns SET wr_reason_sk = 1 + wr_item_sk % 30 WHERE wr_reason_sk IS NOT NULL;

INSERT INTO call_center
SELECT call_center.* REPLACE (
  n AS cc_call_center_sk,
  'AAAAAAAA' || chr(64 + n::INTEGER) || 'AAAAAAA' AS cc_call_center_id,
  varied(['Mid Atlantic', 'North Midwest'], n) AS cc_name,
  varied(['Bob Belcher', 'Felipe Perkins'], n) AS cc_manager)
FROM call_center, range(2, 4) AS numbers(n);
UPDATE catalog_sales SET cs_call_center_sk = 1 + cs_order_number % 3 WHERE cs_call_center_sk IS NOT NULL;
UPDATE catalog_returns SET cr_call_center_sk = 1 + cr_order_number % 3 WHERE cr_call_center_sk IS NOT NULL;

INSERT INTO web_site
SELECT web_site.* REPLACE (
  n AS web_site_sk,
  'AAAAAAAA' || chr(64 + n::INTEGER) || 'AAAAAAA' AS web_site_id,
  'site_' || (n // 2) AS web_name)
FROM web_site, range(2, 5) AS numbers(n);
UPDATE web_sales SET ws_web_site_sk = 1 + ws_order_number % 4 WHERE ws_web_site_sk IS NOT NULL;

-- A tenth of the customers buys everything, so that some do it twice, in all three channels.
CREATE MACRO buyer(sk) AS 1 + sk % 100;
CREATE MACRO address(sk) AS 1 + sk % 20;
UPDATE store_sales SET ss_customer_sk = buyer(ss_customer_sk), ss_addr_sk = address(ss_addr_sk);
UPDATE store_returns SET sr_customer_sk = buyer(sr_customer_sk), sr_addr_sk = address(sr_addr_sk);
UPDATE catalog_sales
SET cs_bill_customer_sk = buyer(cs_bill_customer_sk), cs_ship_customer_sk = buyer(cs_ship_customer_sk),
    cs_bill_addr_sk = address(cs_bill_addr_sk), cs_ship_addr_sk = address(cs_ship_addr_sk);
UPDATE catalog_returns
SET cr_refunded_customer_sk = buyer(cr_refunded_customer_sk), cr_returning_customer_sk = buyer(cr_returning_customer_sk),
    cr_refunded_addr_sk = address(cr_refunded_addr_sk), cr_returning_addr_sk = address(cr_returning_addr_sk);
UPDATE web_sales
SET ws_bill_customer_sk = buyer(ws_bill_customer_sk), ws_ship_customer_sk = buyer(ws_ship_customer_sk),
    ws_bill_addr_sk = address(ws_bill_addr_sk), ws_ship_addr_sk = address(ws_ship_addr_sk);
UPDATE web_returns
SET wr_refunded_customer_sk = buyer(wr_refunded_customer_sk), wr_returning_customer_sk = buyer(wr_returning_customer_sk),
    wr_refunded_addr_sk = address(wr_refunded_addr_sk), wr_returning_addr_sk = address(wr_returning_addr_sk);
UPDATE web_returns SET wr_returning_cdemo_sk = wr_refunded_cdemo_sk WHERE wr_item_sk % 2 = 0;

DELETE FROM date_dim WHERE d_year NOT BETWEEN 1997 AND 2004;
DELETE FROM time_dim WHERE t_time_sk NOT IN (
  SELECT t FROM (
    SELECT ss_sold_time_sk FROM store_sales UNION SELECT ws_sold_time_sk FROM web_sales
    UNION SELECT cs_sold_time_sk FROM catalog_sales) AS sold(t)
  WHERE t IS NOT NULL);
