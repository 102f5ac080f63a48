/** Texts of statements, read without a database: what is a use of a cell, and what only looks like one. */
import { describe, expect, it } from 'vitest';
import { readStatement, type Place } from '../../src/typeorm/cell-uses.js';
import type { Family } from '../../src/typeorm/column-types.js';
import type { EncryptedColumn } from '../../src/typeorm/encrypted-column.js';
import { UNKNOWN, type Table } from '../../src/typeorm/sql-tables.js';
import { tokenizer } from '../../src/typeorm/sql-tokens.js';

const CELLS = ['pan', 'text', 'date', 'year', 'order', 'partition', 'address.street'];

/** `cards` has a cell for each of these names; `notes` has plain columns with some of them; of `others` nothing is known. */
const TABLES: Readonly<Record<string, Table>> = {
  cards: {
    cells: new Map(CELLS.map((label) => [label, { label } as EncryptedColumn])),
    columns: new Set(['id', 'note', 'pan_key', 'pan_bidx', ...CELLS]),
    key: ['id'],
  },
  notes: { cells: new Map(), columns: new Set(['id', 'text', 'card_id']), key: ['id'] },
};

class Refused extends Error {}

function useIn(sql: string, family: Family): string | undefined {
  const refuse = (column: EncryptedColumn, place: Place): never => {
    throw new Refused(`${column.label} in ${place}`);
  };
  const find = (path: readonly string[]) => TABLES[path.at(-1)!] ?? UNKNOWN;
  try {
    readStatement({ tables: { find }, refuse }, tokenizer(family)(sql));
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
  return undefined;
}

const ALL: readonly Family[] = ['postgres', 'mysql', 'sqlite'];

describe.each(ALL)('%s: refused', (family) => {
  it.each([
    ['SELECT 1 FROM cards c WHERE c.pan = :pan', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE C.PAN LIKE :pan', 'pan in where'],
    ['SELECT c.pan AS p FROM cards c ORDER BY LOWER(p)', 'pan in order by'],
    ['SELECT c.pan AS p FROM cards c ORDER BY (p)', 'pan in order by'],
    ['SELECT c.pan AS p FROM cards c ORDER BY p COLLATE "C"', 'pan in order by'],
    ['SELECT c.pan AS p FROM cards c GROUP BY LOWER(p)', 'pan in group by'],
    ['SELECT c.pan AS p FROM cards c WHERE p = 1', 'pan in where'],
    ['SELECT 1 FROM notes NATURAL JOIN cards', 'text in join'],
    [
      'WITH RECURSIVE t AS (SELECT id, pan FROM cards UNION ALL SELECT t.id, t.pan FROM t WHERE t.pan = 1) SELECT id FROM t',
      'pan in where',
    ],
    ['SELECT 1 FROM cards AS c WHERE c . pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards WHERE cards.pan = 1', 'pan in where'],
    ['SELECT 1 FROM shop.cards WHERE shop.cards.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards WHERE 1 = pan', 'pan in where'],
    ['SELECT 1 FROM cards WHERE (pan) = 1', 'pan in where'],
    ['SELECT 1 FROM cards WHERE NOT pan', 'pan in where'],
    ['SELECT 1 FROM cards WHERE pan IN (1, 2)', 'pan in where'],
    ['SELECT 1 FROM cards WHERE 1 IN (pan)', 'pan in where'],
    ['SELECT 1 FROM cards WHERE num_nulls(note, lower(pan)) = 1', 'pan in where'],
    ['SELECT 1 FROM cards WHERE pan BETWEEN 1 AND 2', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE c.pan IS NOT DISTINCT FROM c.note', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE c.note IS DISTINCT FROM c.pan', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE c.address.street = 1', 'address.street in where'],
    ['SELECT 1 FROM cards c WHERE lower(trim(c.pan)) = 1', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE c.pan /* IS NULL */ = 1', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE c.id = (SELECT MAX(text) FROM cards)', 'text in expression'],
    ['SELECT 1 FROM cards c WHERE c.note = (SELECT text FROM cards LIMIT 1)', 'text in where'],
    ['SELECT 1 FROM notes n WHERE n.text IN ((SELECT c.text FROM cards c))', 'text in where'],
    ['SELECT 1 FROM notes n, cards c WHERE n.text = c.text', 'text in where'],
    ['SELECT 1 FROM notes n JOIN cards c ON n.text = c.text', 'text in join'],
    ['SELECT 1 FROM notes n LEFT OUTER JOIN cards c ON c.id = n.id AND c.text = 1', 'text in join'],
    ['SELECT 1 FROM notes JOIN cards USING (id, text)', 'text in join'],
    ['SELECT 1 FROM (notes n JOIN cards c ON n.text = c.text)', 'text in join'],
    ['SELECT 1 FROM notes n WHERE EXISTS (SELECT 1 FROM cards WHERE pan = n.text)', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE EXISTS (SELECT 1 FROM notes n WHERE n.text = pan)', 'pan in where'],
    ['SELECT SUM(c.pan) FROM cards c', 'pan in expression'],
    ['SELECT c.pan + 1 AS x FROM cards c', 'pan in expression'],
    ['SELECT COUNT(DISTINCT c.pan) FROM cards c', 'pan in distinct'],
    ['SELECT COUNT(DISTINCT a.id, b.pan) FROM cards a, cards b', 'pan in distinct'],
    ['SELECT COUNT(lower(c.pan)) FROM cards c', 'pan in expression'],
    ['SELECT DISTINCT pan FROM cards', 'pan in distinct'],
    ['SELECT DISTINCT(c.pan) AS x FROM cards c', 'pan in distinct'],
    ['SELECT DISTINCT a.id, b.pan FROM cards a, cards b', 'pan in distinct'],
    ['SELECT (SELECT pan FROM cards) || 1', 'pan in expression'],
    ['SELECT rank() OVER (PARTITION BY order ORDER BY c.id) FROM cards c', 'order in expression'],
    ['SELECT rank() OVER (ORDER BY c.pan) FROM cards c', 'pan in expression'],
    ['SELECT 1 FROM cards c WINDOW w AS (PARTITION BY pan)', 'pan in expression'],
    ['SELECT id FROM cards ORDER BY pan DESC', 'pan in order by'],
    ['SELECT id FROM cards c ORDER BY id, c.pan DESC NULLS LAST', 'pan in order by'],
    ['SELECT pan x FROM cards ORDER BY x', 'pan in order by'],
    ['SELECT id, pan FROM cards ORDER BY 2 DESC', 'pan in order by'],
    ['SELECT pan AS x FROM cards GROUP BY x', 'pan in group by'],
    ['SELECT 1 FROM cards GROUP BY note, pan', 'pan in group by'],
    ['SELECT COUNT(*) AS pan FROM cards GROUP BY pan', 'pan in group by'],
    ['SELECT id, pan AS x FROM cards GROUP BY id HAVING MAX(x) > 1', 'pan in having'],
    ['SELECT SUM(s.x) FROM (SELECT pan AS x FROM cards) s', 'pan in expression'],
    ['SELECT SUM(y) FROM (SELECT pan AS x FROM cards) AS s(y)', 'pan in expression'],
    ['SELECT s.id FROM (SELECT * FROM cards) s WHERE s.pan = 1', 'pan in where'],
    ['SELECT s.id FROM (SELECT c.* FROM cards c) s ORDER BY pan', 'pan in order by'],
    ['WITH x AS (SELECT pan FROM cards) SELECT 1 FROM x WHERE pan = 1', 'pan in where'],
    ['WITH n AS (VALUES (1)), x (y) AS (SELECT pan FROM cards) SELECT MAX(y) FROM x', 'pan in expression'],
    [
      'WITH RECURSIVE x AS (SELECT 1 UNION ALL SELECT pan FROM cards GROUP BY pan) SELECT 1 FROM x',
      'pan in group by',
    ],
    ['SELECT text FROM notes UNION SELECT text FROM cards', 'text in union'],
    ['(SELECT text FROM notes) EXCEPT (SELECT text FROM cards)', 'text in union'],
    ['SELECT text FROM notes UNION ALL SELECT text FROM cards ORDER BY text', 'text in order by'],
    ['SELECT text FROM cards UNION ALL SELECT text FROM notes ORDER BY 1', 'text in order by'],
    ['UPDATE cards SET note = pan WHERE id = 1', 'pan in set'],
    ['UPDATE cards SET note = :note WHERE pan = :pan', 'pan in where'],
    ['UPDATE notes SET text = (SELECT MAX(pan) FROM cards)', 'pan in expression'],
    ['UPDATE cards SET note = :note RETURNING lower(pan)', 'pan in expression'],
    ['INSERT INTO notes (text) VALUES ((SELECT MAX(text) FROM cards))', 'text in expression'],
    ['INSERT INTO notes (text) SELECT lower(text) FROM cards', 'text in expression'],
    ['INSERT INTO notes (text) SELECT text FROM cards', 'text in set'],
    ['INSERT INTO notes (text) SELECT note FROM cards UNION ALL SELECT pan FROM cards', 'pan in set'],
    [
      'INSERT INTO notes (text) WITH c AS (SELECT pan FROM cards) SELECT lower(pan) FROM c',
      'pan in expression',
    ],
    [
      'WITH c AS (SELECT pan FROM cards) INSERT INTO notes (text) SELECT 1 FROM c WHERE pan = 1',
      'pan in where',
    ],
    ['SELECT ALL lower(pan) FROM cards', 'pan in expression'],
    ['SELECT SQL_NO_CACHE DISTINCT pan FROM cards', 'pan in distinct'],
    ['DELETE FROM cards WHERE year = 2020', 'year in where'],
    ['DELETE FROM notes USING cards WHERE notes.text = cards.text', 'text in where'],
    ['SELECT 1 FROM cards -- a comment\nWHERE pan = 1', 'pan in where'],
    ["SELECT 1 FROM cards WHERE 'it''s' = pan", 'pan in where'],
    ['SELECT 1 FROM cards WHERE CASE WHEN pan = 1 THEN 1 END', 'pan in where'],
    ['SELECT DISTINCT c FROM cards c', 'pan in distinct'],
    ['SELECT COUNT(DISTINCT c) FROM cards c', 'pan in distinct'],
    ['SELECT COUNT(DISTINCT c.*) FROM cards c', 'pan in distinct'],
    ['SELECT row_to_json(c) FROM cards c', 'pan in expression'],
    ['SELECT row_to_json(cards.*) FROM cards', 'pan in expression'],
    ['SELECT json_agg(s) FROM (SELECT pan FROM cards) s', 'pan in expression'],
    ['SELECT 1 FROM cards c JOIN cards d ON c = d', 'pan in join'],
    ['SELECT 1 FROM cards c WHERE (c.*) > (1)', 'pan in where'],
    ['SELECT 1 FROM cards c, unnest(c.id) u WHERE c = 1', 'pan in where'],
    ['SELECT 1 FROM notes n WHERE EXISTS (SELECT 1 FROM cards c WHERE c = n)', 'pan in where'],
    ['SELECT c FROM cards c ORDER BY c', 'pan in order by'],
    ['SELECT 1 FROM cards c GROUP BY c', 'pan in group by'],
    ['SELECT 1 FROM cards WHERE :pan OPERATOR(pg_catalog.=) pan', 'pan in where'],
    ['SELECT 1 FROM cards WHERE pan OPERATOR(pg_catalog.=) :pan', 'pan in where'],
    ['SELECT text FROM notes WHERE text IN (TABLE cards)', 'pan in where'],
    ['TABLE cards UNION TABLE cards', 'pan in union'],
    ['TABLE cards ORDER BY pan', 'pan in order by'],
    ['WITH x AS (TABLE cards) SELECT MAX(pan) FROM x', 'pan in expression'],
    ['INSERT INTO notes TABLE cards', 'pan in set'],
    ['SELECT 1 FROM cards TABLESAMPLE SYSTEM (10) WHERE cards.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards c TABLESAMPLE BERNOULLI (1) REPEATABLE (2) WHERE c.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards INDEXED BY i WHERE cards.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards NOT INDEXED WHERE cards.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards AS c INDEXED BY i JOIN notes n ON n.text = c.text', 'text in join'],
    ['SELECT 1 FROM cards PARTITION (p0, p1) AS c WHERE c.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards FOR SYSTEM_TIME AS OF now() c WHERE c.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards FOR SYSTEM_TIME ALL WHERE cards.pan = 1', 'pan in where'],
    ['SELECT 1 FROM cards c USE INDEX FOR JOIN (i) JOIN notes n ON n.text = c.text', 'text in join'],
    ['SELECT 1 FROM cards c USE INDEX FOR ORDER BY (i) WHERE c.pan = 1', 'pan in where'],
    ['SELECT 1 FROM ONLY cards * WHERE cards.pan = 1', 'pan in where'],
    ['SELECT MAX(v.x) FROM cards c, LATERAL (VALUES (c.pan)) v(x)', 'pan in expression'],
    [
      'SELECT 1 FROM cards c CROSS JOIN LATERAL (VALUES (1, c.id), (c.pan, 2)) v WHERE v.column1 = 1',
      'pan in where',
    ],
    ['SELECT 1 FROM cards c WHERE c.note IN (VALUES (c.pan))', 'pan in where'],
    ['SELECT 1 FROM cards c WHERE EXISTS (VALUES (lower(c.pan)))', 'pan in expression'],
    ['SELECT id FROM notes LIMIT (SELECT COUNT(DISTINCT pan) FROM cards)', 'pan in distinct'],
    ['SELECT 1 FROM cards c WHERE other.pan = 1', 'pan in where'],
    ['INSERT INTO cards (id) VALUES (1) RETURNING lower(pan)', 'pan in expression'],
    ['INSERT INTO cards AS c (id) VALUES (1) RETURNING c.id, lower(c.pan)', 'pan in expression'],
    ['INSERT INTO cards DEFAULT VALUES ON CONFLICT (id) DO UPDATE SET note = cards.pan', 'pan in set'],
    [
      'INSERT INTO cards (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = lower(EXCLUDED.pan)',
      'pan in set',
    ],
    ['INSERT INTO cards (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.pan', 'pan in set'],
    [
      'INSERT INTO cards AS c (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 1 WHERE c.pan <> EXCLUDED.pan',
      'pan in where',
    ],
    ['INSERT INTO cards (id) VALUES (1) ON CONFLICT (id) WHERE (pan = 1) DO NOTHING', 'pan in where'],
    ['INSERT INTO cards (id) VALUES (1) ON DUPLICATE KEY UPDATE note = VALUES(pan)', 'pan in set'],
    ['INSERT INTO cards (id) SELECT id FROM notes ON CONFLICT (id) DO UPDATE SET note = pan', 'pan in set'],
    [
      'WITH x AS (INSERT INTO cards (id) VALUES (1) RETURNING pan) SELECT MAX(pan) FROM x',
      'pan in expression',
    ],
    ['WITH x AS (DELETE FROM cards RETURNING *) SELECT DISTINCT pan FROM x', 'pan in distinct'],
    ['MERGE INTO notes n USING cards c ON n.text = c.text WHEN MATCHED THEN DELETE', 'text in expression'],
    [
      'MERGE INTO cards USING notes ON cards.id = notes.id WHEN MATCHED THEN UPDATE SET pan = notes.text',
      'pan in expression',
    ],
    [
      'WITH x AS (MERGE INTO cards c USING notes n ON c.id = n.id WHEN MATCHED THEN DELETE RETURNING lower(c.pan)) SELECT 1',
      'pan in expression',
    ],
    [
      'MERGE INTO notes n USING (SELECT pan AS p FROM cards) c ON c.p = n.text WHEN MATCHED THEN DO NOTHING',
      'pan in expression',
    ],
  ])('%s', (sql, expected) => {
    expect(useIn(sql, family)).toBe(expected);
  });
});

describe.each(ALL)('%s: let through', (family) => {
  it.each([
    'SELECT rank() OVER (PARTITION BY c.note ORDER BY c.id) FROM cards c',
    'SELECT rank() OVER (ORDER BY c.id) FROM cards c',
    'SELECT c.id, c.pan, COUNT(*) FROM cards c GROUP BY c.id, c.pan',
    'SELECT c.id AS i, c.pan AS p FROM cards c GROUP BY 1, p',
    'SELECT 1 FROM cards c WHERE c.pan ISNULL OR c.pan NOTNULL OR c.pan NOT NULL OR ((c.pan)) IS NULL OR ISNULL(c.pan)',
    'SELECT 1 FROM cards NATURAL JOIN others',
    'WITH RECURSIVE t AS (SELECT id, pan FROM cards UNION ALL SELECT t.id, t.pan FROM t WHERE t.id = 1) SELECT id, pan FROM t',
    'SELECT c.id, c.pan AS p, c.text FROM cards c WHERE c.pan_bidx = :pan',
    'SELECT * FROM cards',
    'SELECT COUNT(*), COUNT(1), COUNT(c.pan), COUNT(DISTINCT c.id) FROM cards c',
    'SELECT COUNT(DISTINCT (c.id)) FROM cards c',
    'SELECT COUNT(DISTINCT(c.id, c.pan)), COUNT(DISTINCT c.id, c.pan) FROM cards c',
    "SELECT COUNT(DISTINCT(c.id || '|;|' || c.pan)) FROM cards c",
    'SELECT DISTINCT c.id, c.pan FROM cards c',
    'SELECT DISTINCT c.* FROM cards c',
    'SELECT DISTINCT(c.id), c.pan FROM cards c',
    'SELECT (pan) AS x FROM cards',
    'SELECT DISTINCT c.note FROM cards c',
    'SELECT 1 FROM cards WHERE pan IS NULL OR cards.pan IS NOT NULL OR (pan) IS NULL',
    'SELECT CASE WHEN c.pan IS NULL THEN 0 ELSE 1 END AS pan FROM cards c ORDER BY c.pan IS NULL, pan',
    'SELECT COUNT(*) FROM cards GROUP BY pan_bidx, pan_key HAVING COUNT(pan) > 1',
    'SELECT num_nulls(pan, c.text) FROM cards c WHERE num_nonnulls(note, c.pan, "date") = 1',
    'SELECT s.pan FROM (SELECT pan FROM cards) s',
    'WITH x AS (SELECT pan FROM cards) SELECT pan FROM x',
    'SELECT (SELECT c.pan FROM cards c WHERE c.id = n.card_id) AS p FROM notes n',
    'SELECT 1 FROM notes n WHERE EXISTS (SELECT c.pan FROM cards c WHERE c.id = n.card_id)',
    'SELECT text FROM notes UNION ALL SELECT text FROM cards',
    'SELECT text FROM notes UNION SELECT note FROM cards',
    'SELECT n.text FROM notes n JOIN cards c ON c.id = n.card_id WHERE n.text = 1 ORDER BY n.text',
    'SELECT 1 FROM cards c WHERE EXISTS (SELECT 1 FROM notes WHERE text = 1)',
    'SELECT 1 FROM cards c WHERE EXISTS (SELECT 1 FROM others WHERE pan = 1)',
    'SELECT 1 FROM others WHERE pan = 1',
    "SELECT 1 FROM cards c WHERE c.note = 'c.pan = 1' AND 'it''s pan' <> c.note",
    'SELECT 1 FROM cards c WHERE c.note = :pan AND c.note IN (:...text)',
    'SELECT 1 FROM cards c /* WHERE pan = 1 */ -- AND pan = 1',
    'SELECT CAST(c.note AS text), CAST(c.note AS date) FROM cards c',
    'SELECT DATE(c.note), year(c.note), EXTRACT(YEAR FROM c.note) FROM cards c',
    "SELECT date '2020-01-01', INTERVAL '1' YEAR, INTERVAL 1 YEAR FROM cards c",
    'SELECT SUM(c.id) text, c.note AS year FROM cards c ORDER BY text, year DESC',
    'SELECT text.id FROM cards text WHERE text.id = 1',
    'SELECT text.text FROM notes text, cards c WHERE text.text = 1',
    'UPDATE cards SET pan = :cell, pan_key = :key, note = note WHERE id = :id',
    'UPDATE cards SET pan = :cell WHERE pan IS NULL RETURNING *',
    'INSERT INTO cards (pan, text) VALUES (:cell, (SELECT 1)) ON CONFLICT (id) DO UPDATE SET pan = EXCLUDED.pan',
    'INSERT INTO cards (pan) VALUES ((SELECT 1)) ON DUPLICATE KEY UPDATE pan = VALUES(pan)',
    'INSERT INTO notes (id) SELECT s.id FROM (SELECT id, pan FROM cards) s WHERE s.pan IS NULL',
    'INSERT INTO notes (id) WITH c AS (SELECT id, pan FROM cards) SELECT id FROM c',
    'INSERT INTO notes (text) SELECT note FROM cards ON CONFLICT (id) DO UPDATE SET text = EXCLUDED.text RETURNING id',
    'SELECT ALL pan FROM cards',
    'SELECT HIGH_PRIORITY SQL_NO_CACHE pan, text AS t FROM cards',
    'SELECT SQL_NO_CACHE DISTINCT id, pan FROM cards',
    'DELETE FROM cards WHERE pan IS NOT NULL',
    'SELECT c.id FROM cards c LEFT JOIN notes n ON LEFT(n.text, 1) = c.note',
    'SELECT c.pan FROM cards c WHERE c.id = 1 FOR UPDATE',
    'SELECT c.pan FROM cards c LIMIT 10 OFFSET 2;',
    'SELECT c FROM cards c WHERE c IS NOT NULL',
    'SELECT COUNT(c), COUNT(c.*) FROM cards c',
    'SELECT COUNT(*) AS c FROM cards c GROUP BY c.note HAVING c > 1 ORDER BY c',
    'SELECT row_to_json(n) FROM notes n, cards c',
    'SELECT c.id FROM cards c WHERE c.note OPERATOR(pg_catalog.=) :pan',
    'SELECT OPERATOR(c.id) pan FROM cards c',
    'TABLE cards',
    'SELECT text FROM notes WHERE EXISTS (TABLE cards)',
    'SELECT c.pan FROM cards c TABLESAMPLE SYSTEM (10) WHERE c.id = 1',
    'SELECT c.pan FROM cards AS c INDEXED BY i WHERE c.id = 1',
    'SELECT c.pan FROM cards c USE INDEX FOR ORDER BY (i) ORDER BY c.id',
    'SELECT c.pan FROM cards c, LATERAL (VALUES (c.pan, c.id)) v(p, i) WHERE v.i = 1 AND v.p IS NOT NULL',
    'SELECT CAST(c.note AS pg_catalog.text) FROM cards c',
    'INSERT INTO cards (id) VALUES (1) RETURNING id, pan AS p',
    'INSERT INTO cards AS c (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.note WHERE c.pan IS NULL RETURNING *',
    'INSERT INTO cards (pan) VALUES (:cell) ON DUPLICATE KEY UPDATE pan = VALUES(pan), note = VALUES(note)',
    'INSERT INTO notes (id) SELECT n.id FROM notes n JOIN cards c ON c.id = n.id',
    'MERGE INTO notes n USING cards c ON n.id = c.id WHEN MATCHED AND c.pan IS NULL THEN UPDATE SET card_id = c.note RETURNING n.text, c.pan',
  ])('%s', (sql) => {
    expect(useIn(sql, family)).toBeUndefined();
  });
});

it.each<[Family, string]>([
  ['postgres', 'SELECT c.note::date, c.note::text[], c.note::character varying FROM cards c'],
  [
    'postgres',
    "SELECT 1 FROM cards c WHERE c.note ->> 'pan' = 'x' AND c.note @> '{\"pan\": 1}' AND c.note ? 'pan'",
  ],
  ['postgres', "SELECT 1 FROM cards c WHERE c.note AT TIME ZONE 'text' > now()"],
  ['postgres', 'SELECT 1 FROM cards c WHERE $$pan = 1$$ <> $a$ $$ pan = 1 $a$'],
  ['postgres', String.raw`SELECT 1 FROM cards c WHERE E'it\'s pan' <> c.note`],
  ['postgres', 'SELECT make_interval(year => 1) FROM cards c'],
  ['postgres', 'SELECT 1 FROM cards c, jsonb_to_recordset(c.note) AS r(text text)'],
  ['mysql', 'SELECT TIMESTAMPDIFF(YEAR, c.note, c.id), CONVERT(c.note, DATE) FROM cards c'],
  ['mysql', 'SELECT 1 FROM cards c WHERE c.note = "pan" AND @pan = 1'],
  ['mysql', String.raw`SELECT 1 FROM cards c WHERE 'it\'s pan' <> c.note # pan = 1`],
  ['mysql', "SELECT 1 FROM JSON_TABLE('[]', '$[*]' COLUMNS (text varchar(9) PATH '$.text')) j, cards c"],
  ['sqlite', "SELECT strftime('%Y', c.note) AS year FROM cards c"],
])('%s lets through: %s', (family, sql) => {
  expect(useIn(sql, family)).toBeUndefined();
});

it.each<[Family, string, string]>([
  ['postgres', 'SELECT 1 FROM "public"."cards" "c" WHERE "c"."pan" = 1', 'pan in where'],
  ['postgres', 'SELECT 1 FROM cards c WHERE c.pan::text = 1', 'pan in where'],
  ['postgres', "SELECT 1 FROM cards c WHERE c.note = 'a\\' AND pan = 'b'", 'pan in where'],
  ['postgres', "SELECT 1 FROM cards c WHERE encode(c.pan, 'hex') = 'x'", 'pan in where'],
  ['postgres', 'SELECT DISTINCT ON (c.pan) c.id FROM cards c', 'pan in distinct'],
  ['postgres', 'SELECT ARRAY(SELECT pan FROM cards)', 'pan in expression'],
  ['postgres', "SELECT 1 FROM cards c WHERE c.note ->> pan = 'x'", 'pan in where'],
  ['mysql', 'SELECT 1 FROM `cards` `c` WHERE `c`.`pan` = 1', 'pan in where'],
  ['mysql', 'SELECT 1 FROM cards c WHERE BINARY pan = 1', 'pan in where'],
  ['mysql', 'SELECT 1 FROM cards c WHERE 1 = 1 /*!40000 AND pan = 1 */', 'pan in where'],
  ['mysql', 'SELECT GROUP_CONCAT(c.id ORDER BY pan SEPARATOR 1) FROM cards c', 'pan in expression'],
  ['mysql', 'SELECT 1 FROM cards c WHERE "c"."pan" = 1', 'pan in where'],
  [
    'mysql',
    String.raw`SELECT 1 FROM cards c WHERE c.note = "a\"b" AND pan = 1 AND c.id = "c"`,
    'pan in where',
  ],
  ['mysql', 'UPDATE cards SET note = 1 ORDER BY pan LIMIT 1', 'pan in order by'],
  ['sqlite', 'SELECT 1 FROM [cards] WHERE [pan] GLOB 1', 'pan in where'],
])('%s refuses: %s', (family, sql, expected) => {
  expect(useIn(sql, family)).toBe(expected);
});

it('ends for text that is no SQL', () => {
  for (const sql of [
    '',
    ')',
    '((',
    "'",
    '"',
    'SELECT',
    'FROM cards WHERE',
    'WITH',
    'WITH x AS (',
    '.',
    '::',
    'SELECT . FROM cards',
    ',,,',
  ])
    for (const family of ALL) expect(useIn(sql, family)).toBeUndefined();
});
