import java.io.ByteArrayOutputStream;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.copy.CopyOut;
import org.postgresql.jdbc.PgConnection;
import org.postgresql.util.PGInterval;

/**
 * What pgjdbc does at each server that an argument names, as `jdbc:postgresql://…`: a line of JSON for each check, with
 * the number of the server, the name of the check and what was seen. An unexpected exception is what was seen, too.
 */
public class Checks {
    interface Check {
        Object run(Connection connection) throws Exception;
    }

    static final String SLOW = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

    static final String[] VALUES = {
        "true", "NULL::boolean", "7::int2", "-7::int4", "9007199254740993", "1.5::float4", "'-Infinity'::float8",
        "'NaN'::float8", "12345.6789::numeric(12,4)", "0.00000001::numeric(38,8)", "'Grüße'::text",
        "'\\x00ff'::bytea", "DATE '2024-02-29'", "'infinity'::date", "TIME '12:30:01.000005'",
        "TIMESTAMP '2024-02-29 23:59:59.999999'", "TIMESTAMP '9999-12-31 00:00:00'", "'infinity'::timestamp",
        "TIMESTAMPTZ '2024-02-29 12:00:00+05:30'", "INTERVAL '1 year 2 days 03:04:05.6'", "INTERVAL '-1 day'",
        "'00112233-4455-6677-8899-aabbccddeeff'::uuid", "'{\"a\":[1,2]}'::json", "ARRAY[1,2,NULL]",
        "ARRAY['a','b \"c\"',NULL]", "ARRAY[[1,2],[3,4]]", "ARRAY[1.5,2.25]::numeric(4,2)[]", "ARRAY[true,false]",
        "ARRAY[DATE '2024-01-31']", "ARRAY[]::int[]", "'pg_class'::regclass::oid",
    };

    static final Set<String> ROW_TYPES = Set.of("_customers", "_orders", "_Odd Name", "_cache", "_columns", "_fragments",
        "_policies", "_queries", "_sources", "_tables");  // tables have none here

    static final Map<String, Check> METADATA = new LinkedHashMap<>();  // over one connection
    static final Map<String, Check> CHECKS = new LinkedHashMap<>();  // each over its own, with the options behind `?`

    static void check(String name, Check check) {
        CHECKS.put(name, check);
    }

    // --- metadata ---------------------------------------------------------------------------------------------------

    static {
        METADATA.put("metadata", connection -> {
            DatabaseMetaData metadata = connection.getMetaData();
            Map<String, Object> seen = new TreeMap<>();
            Set<String> own = Set.of("getConnection", "getURL", "getTypeInfo", "getDatabaseProductVersion",
                "getDatabaseMinorVersion");
            for (Method method : DatabaseMetaData.class.getMethods()) {
                if (method.getParameterCount() == 0 && !own.contains(method.getName())) {
                    try {
                        seen.put(method.getName(), shown(method.invoke(metadata)));
                    } catch (InvocationTargetException exception) {
                        seen.put(method.getName(), shown(exception.getCause()));
                    }
                }
            }
            return seen;
        });
        METADATA.put("getTypeInfo", connection -> {
            List<?> rows = (List<?>) shown(connection.getMetaData().getTypeInfo());
            return rows.stream().filter(row -> !ROW_TYPES.contains(((List<?>) row).get(0))).map(Checks::json).sorted().toList();
        });
        metadata("getTables", metadata -> metadata.getTables(null, null, "%", new String[] {"TABLE", "VIEW"}));
        metadata("getTables of a schema", metadata -> metadata.getTables(null, "shop", "%", null));
        metadata("getTables of the system", metadata ->
            metadata.getTables(null, null, "%", new String[] {"SYSTEM TABLE", "SYSTEM VIEW", "SYSTEM INDEX"}));
        metadata("getTables by a pattern", metadata -> metadata.getTables("overlay", "sh_p", "cust%", null));
        metadata("getColumns", metadata -> metadata.getColumns(null, "shop", "%", "%"));
        metadata("getColumns by a pattern", metadata -> metadata.getColumns(null, "shop", "Odd Name", "A b"));
        metadata("getColumns of the system", metadata -> metadata.getColumns(null, "pg_catalog", "pg_t%", "%"));
        metadata("getSchemas", metadata -> metadata.getSchemas(null, "%s%"));
        metadata("getPrimaryKeys", metadata -> metadata.getPrimaryKeys(null, "shop", "orders"));
        metadata("getImportedKeys", metadata -> metadata.getImportedKeys(null, "shop", "orders"));
        metadata("getExportedKeys", metadata -> metadata.getExportedKeys(null, "shop", "customers"));
        metadata("getCrossReference", metadata ->
            metadata.getCrossReference(null, "shop", "customers", null, "shop", "orders"));
        metadata("getIndexInfo", metadata -> metadata.getIndexInfo(null, "shop", "orders", false, true));
        metadata("getIndexInfo of unique ones", metadata -> metadata.getIndexInfo(null, "shop", "orders", true, false));
        metadata("getBestRowIdentifier", metadata ->
            metadata.getBestRowIdentifier(null, "shop", "orders", DatabaseMetaData.bestRowSession, true));
        metadata("getVersionColumns", metadata -> metadata.getVersionColumns(null, "shop", "orders"));
        metadata("getTablePrivileges", metadata -> metadata.getTablePrivileges(null, "shop", "%"));
        metadata("getColumnPrivileges", metadata -> metadata.getColumnPrivileges(null, "shop", "customers", "%"));
        metadata("getUDTs", metadata -> metadata.getUDTs(null, "information_schema", "%", null));
        metadata("getFunctions", metadata -> metadata.getFunctions(null, "pg_catalog", "%"));
        metadata("getFunctionColumns", metadata -> metadata.getFunctionColumns(null, "pg_catalog", "age%", "%"));
        metadata("getProcedures", metadata -> metadata.getProcedures(null, null, "%"));
        metadata("getProcedureColumns", metadata -> metadata.getProcedureColumns(null, null, "abs", "%"));
    }

    interface Metadata {
        ResultSet of(DatabaseMetaData metadata) throws SQLException;
    }

    static void metadata(String name, Metadata metadata) {
        METADATA.put(name, connection -> shown(metadata.of(connection.getMetaData())));
    }

    // --- values and parameters --------------------------------------------------------------------------------------

    static {
        // A threshold of -1 is binary from the first execution on, 0 is never.
        check("values?prepareThreshold=-1", Checks::values);
        check("values?prepareThreshold=0", Checks::values);
        check("values?preferQueryMode=simple", Checks::values);
        check("parameters?prepareThreshold=-1", Checks::parameters);
        check("parameters?prepareThreshold=0", Checks::parameters);
        check("parameters?preferQueryMode=simple", Checks::parameters);
        check("parameters?preferQueryMode=extendedCacheEverything", Checks::parameters);
        check("columns of tables", connection -> {
            try (Statement statement = connection.createStatement();
                    ResultSet result = statement.executeQuery("SELECT id AS number, o.*, 1 AS one FROM shop.orders o")) {
                ResultSetMetaData columns = result.getMetaData();
                List<Object> seen = columns(columns);
                for (int i = 1; i <= columns.getColumnCount(); i++) {
                    seen.add(List.of(
                        columns.getSchemaName(i), columns.getTableName(i), columns.getColumnName(i),
                        columns.isNullable(i), columns.isAutoIncrement(i)));
                }
                return seen;
            }
        });
        check("types of parameters", connection -> {
            String sql = "SELECT ?::int, name FROM shop.customers WHERE id = ? AND name LIKE ? AND born > ? LIMIT ?";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                List<Object> seen = new ArrayList<>();
                ParameterMetaData parameters = statement.getParameterMetaData();
                for (int i = 1; i <= parameters.getParameterCount(); i++) {
                    seen.add(List.of(parameters.getParameterTypeName(i), parameters.getParameterClassName(i)));
                }
                return List.of(seen, columns(statement.getMetaData()));
            }
        });
        check("prepared seven times", connection -> {
            List<Object> seen = new ArrayList<>();
            String sql = "SELECT id, name, born, score FROM shop.customers WHERE id > ? AND name <> ? ORDER BY id";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                for (int run = 0; run < 7; run++) {
                    statement.setInt(1, run % 3);
                    statement.setString(2, "nobody");
                    seen.add(shown(statement.executeQuery()));
                }
                statement.setLong(1, 1);  // another type: it is prepared again
                seen.add(shown(statement.executeQuery()));
                statement.setString(1, "one");
                seen.add(failure(statement::executeQuery));
            }
            return seen;
        });
        check("escapes", connection -> shown(connection.createStatement().executeQuery(
            "SELECT {d '2024-01-31'}, {ts '2024-01-31 10:00:00'}, {t '10:00:00'}, {fn concat('a', 'b')},"
                + " {fn ucase('x')}, {fn mod(7, 4)}, {fn year({d '2024-01-31'})}::int, {fn length('abc')}, 'a' LIKE 'b' {escape '|'}")));
        check("a function is called", connection -> {
            try (CallableStatement call = connection.prepareCall("{? = call upper(?)}")) {
                call.registerOutParameter(1, Types.VARCHAR);
                call.setString(2, "x");
                call.execute();
                return call.getString(1);
            }
        });
    }

    static Object values(Connection connection) throws SQLException {
        List<Object> seen = new ArrayList<>();
        for (String value : VALUES) {
            try (PreparedStatement statement = connection.prepareStatement("SELECT " + value + " AS v");
                    ResultSet result = statement.executeQuery()) {
                result.next();
                List<String> row = new ArrayList<>(List.of(value, columns(result.getMetaData()).toString()));
                row.add(typed(result.getObject(1)));
                row.add(result.getObject(1) instanceof byte[] ? null : result.getString(1));
                seen.add(row);
            } catch (SQLException exception) {
                seen.add(List.of(value, shown(exception)));
            }
        }
        return seen;
    }

    interface Setter {
        void set(PreparedStatement statement) throws SQLException;
    }

    static Object parameters(Connection connection) throws SQLException {
        List<Object> seen = new ArrayList<>();
        sent(seen, connection, "boolean", s -> s.setBoolean(1, true));
        sent(seen, connection, "smallint", s -> s.setShort(1, (short) -7));
        sent(seen, connection, "int", s -> s.setInt(1, 7));
        sent(seen, connection, "bigint", s -> s.setLong(1, 1L << 40));
        sent(seen, connection, "real", s -> s.setFloat(1, 1.1f));
        sent(seen, connection, "float8", s -> s.setDouble(1, Double.NEGATIVE_INFINITY));
        sent(seen, connection, "numeric", s -> s.setBigDecimal(1, new BigDecimal("12345.6789")));
        sent(seen, connection, "text", s -> s.setString(1, "Grüße 'x' \\ "));
        sent(seen, connection, "bytea", s -> s.setBytes(1, new byte[] {0, -1, 39, 92}));
        sent(seen, connection, "date", s -> s.setObject(1, LocalDate.of(2024, 2, 29)));
        sent(seen, connection, "date", s -> s.setDate(1, java.sql.Date.valueOf("2024-02-29")));
        sent(seen, connection, "time", s -> s.setObject(1, LocalTime.of(12, 30, 1, 5000)));
        sent(seen, connection, "time", s -> s.setTime(1, Time.valueOf("12:30:01")));
        sent(seen, connection, "timestamp", s -> s.setObject(1, LocalDateTime.of(2024, 2, 29, 1, 2, 3, 4000)));
        sent(seen, connection, "timestamp", s -> s.setTimestamp(1, Timestamp.valueOf("2024-02-29 01:02:03.000004")));
        sent(seen, connection, "timestamptz", s -> s.setObject(1, OffsetDateTime.parse("2024-02-29T01:02:03+05:30")));
        sent(seen, connection, "uuid", s -> s.setObject(1, new UUID(1, 2)));
        sent(seen, connection, "interval", s -> s.setObject(1, new PGInterval("1 day 02:00:00")));
        sent(seen, connection, "int[]", s -> s.setArray(1, connection.createArrayOf("int4", new Integer[] {1, null})));
        sent(seen, connection, "int[]", s -> s.setObject(1, new int[] {1, 2}));
        sent(seen, connection, "text[]", s -> s.setArray(1, connection.createArrayOf("text", new String[] {"a", "b c"})));
        sent(seen, connection, "int", s -> s.setNull(1, Types.INTEGER));
        sent(seen, connection, "text", s -> s.setNull(1, Types.VARCHAR));
        sent(seen, connection, "int", s -> s.setObject(1, "12", Types.OTHER));
        sent(seen, connection, "int", s -> s.setObject(1, "x", Types.OTHER));
        sent(seen, connection, "int", s -> s.setLong(1, 1L << 40));
        return seen;
    }

    static void sent(List<Object> seen, Connection connection, String type, Setter setter) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT ?::" + type)) {
            setter.set(statement);
            try (ResultSet result = statement.executeQuery()) {
                result.next();
                seen.add(List.of(type, typed(result.getObject(1))));
            }
        } catch (SQLException exception) {
            seen.add(List.of(type, shown(exception)));
        }
    }

    // --- many rows, and few of them ---------------------------------------------------------------------------------

    static final String MANY = "SELECT i, 'row ' || i FROM generate_series(1, 20000) AS t(i) ORDER BY i";

    static {
        check("a fetch size", connection -> {
            connection.setAutoCommit(false);
            List<Object> seen = new ArrayList<>();
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(1000);
                seen.add(sum(statement.executeQuery(MANY), 20_000));
                seen.add(sum(statement.executeQuery(MANY), 2500));  // and left before its end
                statement.setMaxRows(1500);
                seen.add(sum(statement.executeQuery(MANY), 20_000));
                statement.setFetchSize(0);
                seen.add(sum(statement.executeQuery(MANY), 20_000));
            }
            connection.commit();
            return seen;
        });
        check("a fetch size?prepareThreshold=-1", CHECKS.get("a fetch size"));
        check("a fetch size?preferQueryMode=simple", CHECKS.get("a fetch size"));
        check("two results at once", connection -> {
            connection.setAutoCommit(false);
            try (Statement one = connection.createStatement(); Statement other = connection.createStatement()) {
                one.setFetchSize(10);
                other.setFetchSize(10);
                ResultSet first = one.executeQuery(MANY), second = other.executeQuery(MANY);
                long seen = 0;
                for (int i = 0; i < 95; i++) {
                    first.next();
                    second.next();
                    seen += first.getInt(1) * second.getInt(1);
                }
                return seen;
            }
        });
        check("maxRows", connection -> {
            try (Statement statement = connection.createStatement()) {
                statement.setMaxRows(3);
                return shown(statement.executeQuery(MANY));
            }
        });
        check("a result that scrolls", connection -> {
            try (Statement statement = connection.createStatement(
                    ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
                    ResultSet result = statement.executeQuery(MANY)) {
                result.last();
                int last = result.getRow();
                result.absolute(-2);
                return List.of(last, result.getInt(1), result.previous(), result.getInt(1));
            }
        });
        check("a cursor of the statement", connection -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute("DECLARE c CURSOR FOR " + MANY);
                List<Object> seen = new ArrayList<>(List.of(shown(statement.executeQuery("FETCH 2 FROM c"))));
                statement.execute("MOVE FORWARD 10 FROM c");
                seen.add(shown(statement.executeQuery("FETCH NEXT FROM c")));
                statement.execute("CLOSE c");
                return seen;
            }
        });
        check("copyOut", connection -> {
            CopyManager manager = connection.unwrap(PGConnection.class).getCopyAPI();
            StringWriter text = new StringWriter();
            ByteArrayOutputStream binary = new ByteArrayOutputStream();
            List<Object> seen = new ArrayList<>();
            seen.add(manager.copyOut("COPY (SELECT 1 AS a, 'ü' AS b, NULL AS c) TO STDOUT (FORMAT csv, HEADER)", text));
            seen.add(manager.copyOut("COPY (" + MANY + ") TO STDOUT (FORMAT binary)", binary));
            seen.add(text.toString());
            seen.add(Arrays.hashCode(binary.toByteArray()));
            seen.add(shown(connection.createStatement().executeQuery("SELECT 1")));
            return seen;
        });
        check("copyOut that is left", connection -> {
            CopyOut left = connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (" + MANY + ") TO STDOUT");
            String first = new String(left.readFromCopy(), "UTF-8");
            left.cancelCopy();
            return List.of(first, left.isActive());
        });
    }

    static Object sum(ResultSet result, int most) throws SQLException {
        long count = 0, sum = 0;
        while (count < most && result.next()) {
            count++;
            sum += result.getInt(1) + result.getString(2).length();
        }
        result.close();
        return List.of(count, sum);
    }

    // --- sessions ---------------------------------------------------------------------------------------------------

    static {
        check("a timeout", connection -> {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                String seen = failure(() -> statement.executeQuery(SLOW));
                return List.of(seen, shown(statement.executeQuery("SELECT 1")));
            }
        });
        check("a cancel", connection -> {
            try (Statement statement = connection.createStatement()) {
                Thread canceller = new Thread(() -> {
                    try {
                        statement.cancel();
                        while (!Thread.interrupted()) {  // until one comes when the statement has begun
                            connection.unwrap(PgConnection.class).cancelQuery();
                            Thread.sleep(50);
                        }
                    } catch (SQLException | InterruptedException exception) {
                        return;
                    }
                });
                canceller.start();
                String seen = failure(() -> statement.executeQuery(SLOW));
                canceller.interrupt();
                canceller.join();
                return seen;
            }
        });
        check("a transaction", connection -> {
            connection.setAutoCommit(false);
            connection.setReadOnly(true);
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            List<Object> seen = new ArrayList<>();
            try (Statement statement = connection.createStatement()) {
                seen.add(shown(statement.executeQuery("SELECT count(*) FROM shop.customers")));
                Savepoint savepoint = connection.setSavepoint("s");
                seen.add(failure(() -> statement.executeQuery("SELECT * FROM shop.nothing")));
                seen.add(failure(() -> statement.executeQuery("SELECT 1")));
                connection.rollback(savepoint);
                seen.add(shown(statement.executeQuery("SELECT 1")));
                connection.releaseSavepoint(savepoint);
                seen.add(failure(() -> statement.executeUpdate("DELETE FROM shop.customers")));
                connection.rollback();
                seen.add(connection.getTransactionIsolation());
                seen.add(connection.isReadOnly());
            }
            return seen;
        });
        check("a transaction?autosave=always", connection -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                String seen = failure(() -> statement.executeQuery("SELECT nothing FROM shop.customers"));
                return List.of(seen, shown(statement.executeQuery("SELECT 1")));
            }
        });
        check("a transaction?readOnly=true&readOnlyMode=always", connection ->
            failure(() -> connection.createStatement().executeUpdate("INSERT INTO shop.customers VALUES (9, 'x')")));
        check("a session?currentSchema=shop&ApplicationName=checks&options=-c%20statement_timeout=5000", connection -> {
            List<Object> seen = new ArrayList<>(List.of(connection.getSchema(), connection.getCatalog()));
            try (Statement statement = connection.createStatement()) {
                seen.add(shown(statement.executeQuery("SELECT count(*) FROM customers")));
                for (String name : List.of("application_name", "statement_timeout", "search_path")) {
                    seen.add(shown(statement.executeQuery("SHOW " + name)));
                }
                connection.setSchema("pg_catalog");
                connection.setClientInfo("ApplicationName", "others");
                seen.add(connection.getSchema());
                seen.add(connection.getClientInfo().toString());
                seen.add(shown(statement.executeQuery("SHOW application_name")));
                statement.execute("SET TIME ZONE 'Asia/Kolkata'; SET extra_float_digits = 0");
                seen.add(shown(statement.executeQuery("SELECT TIMESTAMPTZ '2024-01-31 00:00:00Z', 0.1::float8")));
                statement.execute("LISTEN changes");
                seen.add(connection.unwrap(PGConnection.class).getNotifications().length);
                seen.add(connection.isValid(10));
                seen.add(connection.getWarnings() == null);
            }
            return seen;
        });
        check("several statements", connection -> {
            List<Object> seen = new ArrayList<>();
            try (Statement statement = connection.createStatement()) {
                boolean rows = statement.execute("SELECT 1; SET TimeZone = 'UTC'; SELECT 2, 'a;b'; SELECT 3 WHERE false");
                while (rows || statement.getUpdateCount() >= 0) {
                    seen.add(rows ? shown(statement.getResultSet()) : statement.getUpdateCount());
                    rows = statement.getMoreResults();
                }
            }
            return seen;
        });
        check("a batch", connection -> {
            try (Statement statement = connection.createStatement()) {
                statement.addBatch("SET TimeZone = 'UTC'");
                statement.addBatch("SET TimeZone = 'Asia/Tokyo'");
                int[] counts = statement.executeBatch();
                return List.of(counts.length, shown(statement.executeQuery("SHOW TimeZone")));
            }
        });
        check("a result to be updated?readOnly=true&readOnlyMode=always", connection -> {
            try (Statement statement = connection.createStatement(
                    ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE);
                    ResultSet result = statement.executeQuery("SELECT id, name FROM shop.customers ORDER BY id")) {
                result.next();
                result.updateString(2, "another");
                return failure(() -> {
                    result.updateRow();
                    return null;
                });
            }
        });
        check("errors", connection -> {
            List<String> seen = new ArrayList<>();
            String[] wrong = {
                "SELECT 1 FROM nothing", "SELECT a FROM shop.customers", "SELECT 1/0", "SELECT 'x'::int",
                "SELECT nothing(1)", "SELECT 1 +", "SELECT 99999999999::int", "SELECT 'a'::uuid",
            };
            try (Statement statement = connection.createStatement()) {
                for (String sql : wrong) {
                    seen.add(sql + ": " + failure(() -> statement.executeQuery(sql)));
                }
            }
            return seen;
        });
    }

    // --- how it is shown --------------------------------------------------------------------------------------------

    interface Call {
        Object run() throws SQLException, java.io.IOException;
    }

    static String failure(Call call) throws java.io.IOException {
        try {
            Object result = call.run();
            if (result instanceof ResultSet rows) {
                while (rows.next()) {
                    rows.getObject(1);
                }
            }
            return "no error";
        } catch (SQLException exception) {
            return shown(exception);
        }
    }

    static String shown(SQLException exception) {
        return exception.getClass().getSimpleName() + " " + exception.getSQLState();
    }

    static Object shown(Object value) throws SQLException {
        if (value instanceof ResultSet result) {
            List<Object> rows = new ArrayList<>(List.of(columns(result.getMetaData())));
            int count = result.getMetaData().getColumnCount();
            while (result.next()) {
                List<String> row = new ArrayList<>();
                for (int i = 1; i <= count; i++) {
                    row.add(result.getString(i));
                }
                rows.add(row);
            }
            result.close();
            return rows;
        }
        return value instanceof SQLException exception ? shown(exception) : value;
    }

    static List<Object> columns(ResultSetMetaData columns) throws SQLException {
        List<Object> seen = new ArrayList<>();
        for (int i = 1; i <= columns.getColumnCount(); i++) {
            seen.add(List.of(
                columns.getColumnLabel(i), columns.getColumnTypeName(i), columns.getColumnClassName(i),
                columns.getPrecision(i), columns.getScale(i), columns.getColumnDisplaySize(i), columns.isSigned(i)));
        }
        return seen;
    }

    static String typed(Object value) throws SQLException {
        if (value instanceof byte[] bytes) {
            return "bytes " + Arrays.toString(bytes);
        }
        if (value instanceof java.sql.Array array) {
            return array.getBaseTypeName() + " " + Arrays.deepToString((Object[]) array.getArray());
        }
        return value == null ? "null" : value.getClass().getSimpleName() + " " + value;
    }

    static String json(Object value) {
        StringJoiner parts;
        if (value instanceof Map<?, ?> map) {
            parts = new StringJoiner(", ", "{", "}");
            map.forEach((key, each) -> parts.add(json(key) + ": " + json(each)));
            return parts.toString();
        }
        if (value instanceof Collection<?> collection) {
            parts = new StringJoiner(", ", "[", "]");
            collection.forEach(each -> parts.add(json(each)));
            return parts.toString();
        }
        if (value == null || value instanceof Number || value instanceof Boolean) {
            return String.valueOf(value);
        }
        StringBuilder text = new StringBuilder("\"");
        value.toString().chars().forEach(c -> text.append(
            c < 32 || c == '"' || c == '\\' || c > 126 ? String.format("\\u%04x", c) : String.valueOf((char) c)));
        return text.append('"').toString();
    }

    static void report(int server, String name, Check check, Connection connection) {
        Object seen;
        try {
            seen = check.run(connection);
        } catch (Exception exception) {
            seen = "unexpected: " + exception;
        }
        System.out.println(json(List.of(server, name, seen)));
    }

    public static void main(String[] addresses) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("Europe/Berlin"));
        for (int server = 0; server < addresses.length; server++) {
            try (Connection connection = DriverManager.getConnection(addresses[server])) {
                for (Map.Entry<String, Check> each : METADATA.entrySet()) {
                    report(server, each.getKey(), each.getValue(), connection);
                }
            }
            for (Map.Entry<String, Check> each : CHECKS.entrySet()) {
                String options = each.getKey().replaceFirst("^[^?]*[?]?", "");
                try (Connection connection = DriverManager.getConnection(addresses[server] + "&" + options)) {
                    report(server, each.getKey(), each.getValue(), connection);
                }
            }
        }
    }
}
