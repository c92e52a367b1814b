// node-postgres and its cursors at a server with TLS and users; FEDERATION_SERVER has how to connect.
'use strict'

const { test, before, after } = require('node:test')
const assert = require('node:assert/strict')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const { Client, Pool, Query } = require('pg')
const Cursor = require('pg-cursor')

const { certificate, ...server } = JSON.parse(process.env.FEDERATION_SERVER)
const ROWS = 200000
const SLOW = 'SELECT count(*) FROM f.numbers a, f.numbers b, f.numbers c WHERE a.x + b.x < c.x'
const options = { ...server, ssl: { ca: readFileSync(certificate) } }

async function connected(more = {}) {
  const client = new Client({ ...options, ...more })
  await client.connect()
  return client
}

let client
before(async () => {
  client = await connected()
})
after(() => client.end())

// --- who asks --------------------------------------------------------------------------------------------------------

test('SCRAM, also bound to the TLS connection', async () => {
  for (const enableChannelBinding of [false, true]) {
    const other = await connected({ enableChannelBinding })
    assert.deepEqual((await other.query('SELECT current_user AS who')).rows, [{ who: server.user }])
    await other.end()
  }
})

test('a wrong password, and a certificate of somebody else', async () => {
  await assert.rejects(connected({ password: 'wrong' }), { code: '28P01', severity: 'FATAL' })
  await assert.rejects(connected({ ssl: true }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
})

// --- parameters and values -------------------------------------------------------------------------------------------

const VALUES = [
  ['int2', 7],
  ['int4', -7],
  ['int8', '9007199254740993'],
  ['float8', 1.5],
  ['numeric', '12345.6789'],
  ['bool', true],
  ['text', 'Grüße €'],
  ['text', ''],
  ['bytea', Buffer.from([0, 255, 92])],
  ['date', new Date(2024, 1, 29)],
  ['timestamp', new Date(2024, 1, 29, 10, 20, 30, 456)],
  ['timestamptz', new Date('2024-02-29T10:20:30.456Z')],
  ['time', '10:20:30.5'],
  ['uuid', '01234567-89ab-cdef-0123-456789abcdef'],
  ['json', { a: [1, 'b', null] }],
  ['int4[]', [1, null, 3]],
  ['text[]', ['a', 'b"c\\', null, 'NULL']],
  ['bool[]', [true, false]],
  ['int4', null],
]

for (const [type, value] of VALUES) {
  test(`${type} ${JSON.stringify(value)}`, async () => {
    const { rows } = await client.query(`SELECT $1::${type} AS value`, [value])
    assert.deepEqual(rows, [{ value }])
  })
}

test('an interval is an object of its parts', async () => {
  const { rows } = await client.query('SELECT $1::interval AS value', ['1 year 2 days 03:04:05.5'])
  assert.deepEqual({ ...rows[0].value }, { years: 1, days: 2, hours: 3, minutes: 4, seconds: 5, milliseconds: 500 })
})

test('values in binary', async () => {
  const text = "SELECT id::int, x, name, id > 2 AS more FROM f.numbers WHERE id = $1"
  const { rows } = await client.query({ text, values: [3], binary: true })
  assert.deepEqual(rows, [{ id: 3, x: 4.5, name: 'name 3', more: true }])
})

test('the types of parameters follow from where they stand', async () => {
  const text =
    'SELECT id FROM f.numbers WHERE id BETWEEN $1 AND $2 AND name LIKE $3 AND day >= $4 AND id <> ALL ($5) ORDER BY 1 LIMIT $6'
  const { rows } = await client.query(text, [10, '20', 'name 1%', new Date(2020, 0, 2), [12, 13], 3])
  assert.deepEqual(rows.map(row => row.id), ['10', '11', '14'])
})

test('what is no value of the type', async () => {
  await assert.rejects(client.query('SELECT $1::int', ['x']), { code: '22P02' })
  await assert.rejects(client.query('SELECT $1::int2', [70000]), { code: '22003' })
  await assert.rejects(client.query('SELECT $1::int', []), { code: '42P02' })
  await assert.rejects(client.query('SELECT $1::int', [1, 2]), { code: '08P01' })
  assert.equal((await client.query('SELECT 1')).rowCount, 1)
})

// --- statements ------------------------------------------------------------------------------------------------------

test('a named statement is parsed once', async () => {
  const query = { name: 'by id', text: 'SELECT name FROM f.numbers WHERE id = $1', rowMode: 'array' }
  for (let id = 0; id < 7; id++) {
    assert.deepEqual((await client.query({ ...query, values: [id] })).rows, [[`name ${id}`]])
  }
  await assert.rejects(client.query({ ...query, text: 'SELECT 1' }), /must be unique/)
})

test('columns have names and types', async () => {
  const result = await client.query('SELECT id, name, amount, day, x FROM f.numbers WHERE false')
  assert.deepEqual(
    result.fields.map(field => [field.name, field.dataTypeID]),
    [['id', 20], ['name', 25], ['amount', 1700], ['day', 1082], ['x', 701]],
  )
  assert.deepEqual([result.command, result.rowCount, result.rows], ['SELECT', 0, []])
})

test('several statements in one text', async () => {
  const [one, two] = await client.query("SELECT 1 AS a; SELECT 'x' AS b, 'y' AS c")
  assert.deepEqual([one.rows, two.rows], [[{ a: 1 }], [{ b: 'x', c: 'y' }]])
})

test('all rows at once', async () => {
  const { rows } = await client.query({ text: 'SELECT id FROM f.numbers ORDER BY id', rowMode: 'array' })
  assert.equal(rows.length, ROWS)
  assert.deepEqual(rows[ROWS - 1], [String(ROWS - 1)])
})

test('a pool of connections', async () => {
  const pool = new Pool({ ...options, max: 4 })
  const found = await Promise.all([...Array(20).keys()].map(id => pool.query('SELECT $1::int * 2 AS n', [id])))
  assert.deepEqual(found.map(result => result.rows[0].n), [...Array(20).keys()].map(id => id * 2))
  assert.ok(pool.totalCount <= 4)
  await pool.end()
})

test('settings that come with the connection', async () => {
  const other = await connected({ application_name: 'nodes', options: '-c search_path=f -c TimeZone=Asia/Kolkata' })
  const shown = async name => Object.values((await other.query(`SHOW ${name}`)).rows[0])[0]
  assert.deepEqual(
    [await shown('application_name'), await shown('TimeZone'), (await other.query('SELECT a FROM small')).rowCount],
    ['nodes', 'Asia/Kolkata', 2],
  )
  await other.end()
})

// --- cursors ---------------------------------------------------------------------------------------------------------

test('a cursor reads in pages', async () => {
  const cursor = client.query(new Cursor('SELECT id FROM f.numbers WHERE id < $1 ORDER BY id', [2500]))
  const pages = []
  for (let rows = await cursor.read(1000); rows.length; rows = await cursor.read(1000)) pages.push(rows)
  assert.deepEqual(pages.map(rows => rows.length), [1000, 1000, 500])
  assert.deepEqual(pages.flat().map(row => Number(row.id)), [...Array(2500).keys()])
  assert.deepEqual(await cursor.read(10), [])
})

test('a cursor is closed early', async () => {
  const cursor = client.query(new Cursor('SELECT id FROM f.numbers ORDER BY id', [], { rowMode: 'array' }))
  assert.deepEqual(await cursor.read(2), [['0'], ['1']])
  await cursor.close()
  assert.deepEqual((await client.query('SELECT 5 AS a')).rows, [{ a: 5 }])
})

test('a cursor fails where its rows do', async () => {
  const unread = client.query(new Cursor('SELECT nothing FROM f.small'))
  await assert.rejects(unread.read(1), { code: '42703' })
  const late = client.query(new Cursor('SELECT n FROM lite.late'))
  await assert.rejects(
    async () => {
      while ((await late.read(50000)).length);
    },
    { severity: 'ERROR', code: '22P02' },
  )
  assert.equal((await client.query('SELECT 1')).rowCount, 1)
})

// --- errors ----------------------------------------------------------------------------------------------------------

test('an error has its fields', async () => {
  await assert.rejects(client.query("SELECT 'é', * FROM f.smal"), {
    name: 'error',
    severity: 'ERROR',
    code: '42P01',
    position: '20',
    hint: 'did you mean f.main.small?',
  })
  await assert.rejects(client.query('SELECT 1 / (a - a) FROM f.small WHERE a = $1', [1]), { code: '22012' })
})

test('nothing is written', async () => {
  for (const text of ['INSERT INTO f.small VALUES ($1, $2)', 'UPDATE f.small SET a = $1 WHERE b = $2']) {
    await assert.rejects(client.query(text, [3, 'z']), { code: '25006' })
  }
  await assert.rejects(client.query('CREATE TABLE made (a int)'), { code: '25006' })
})

test('a transaction that has failed', async () => {
  await client.query('BEGIN')
  await assert.rejects(client.query('SELECT nothing'), { code: '42703' })
  await assert.rejects(client.query('SELECT 1'), { code: '25P02' })
  assert.equal((await client.query('ROLLBACK')).command, 'ROLLBACK')
  assert.equal((await client.query('SELECT 1')).rowCount, 1)
})

// --- ending early ----------------------------------------------------------------------------------------------------

test('a statement takes too long', async () => {
  const other = await connected({ statement_timeout: 300 })
  await assert.rejects(other.query(SLOW), { code: '57014' })
  assert.equal((await other.query('SELECT 1')).rowCount, 1)
  await other.end()
})

test('a query is cancelled', async () => {
  const query = client.query(new Query(SLOW))
  const failed = once(query, 'error')
  const asking = setInterval(() => {  // until the query runs; such requests go in clear text
    const other = new Client({ ...options, ssl: false })
    other.connection.on('error', () => {})
    other.cancel(client, query)
  }, 200)
  const [error] = await failed.finally(() => clearInterval(asking))
  assert.deepEqual([error.code, error.message], ['57014', 'canceling statement due to user request'])
  assert.equal((await client.query('SELECT 1')).rowCount, 1)
})

test('a client that goes away', async () => {
  const other = await connected()
  other.on('error', () => {})
  const running = other.query(SLOW)
  running.catch(() => {})
  other.connection.stream.destroy()
  await assert.rejects(running)
})
