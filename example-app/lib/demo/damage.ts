/** Somebody writes to the database by hand, with every right on it. */
import { randomUUID } from 'node:crypto';
import type { Stage } from './stage.js';
import { print, say } from './story.js';

interface RawCard {
  readonly id: string;
  readonly pan: Buffer;
  readonly pan_key: string;
}

export async function showDamage(stage: Stage): Promise<void> {
  say(
    'Rows edited by hand',
    'Cells are authenticated and bound to their row; what was changed is not charged:',
  );
  const [one, other] = await stage.owner.query<[RawCard, RawCard]>(
    'SELECT id, pan, pan_key FROM cards ORDER BY created_at LIMIT 2',
  );
  await charge(stage, 'a cell of another row', { ...one, id: other.id });
  const edited = Buffer.from(one.pan);
  edited[edited.length - 1]! ^= 1;
  await charge(stage, 'a cell with one bit flipped', { ...one, pan: edited });
  for (const { id, pan, pan_key } of [one, other]) await putCell(stage, { id, pan, pan_key });
}

async function charge(stage: Stage, what: string, card: RawCard): Promise<void> {
  await putCell(stage, card);
  const id = randomUUID();
  await stage.owner.query('INSERT INTO charges (id, card_id, amount_cents) VALUES ($1, $2, 1)', [
    id,
    card.id,
  ]);
  await stage.charged();
  const [row] = await stage.owner.query<[{ state: string; reason: string }]>(
    'SELECT state, reason FROM charges WHERE id = $1',
    [id],
  );
  print(what, `${row.state}, ${row.reason}`);
}

async function putCell({ owner }: Stage, { id, pan, pan_key }: RawCard): Promise<void> {
  await owner.query('UPDATE cards SET pan = $1, pan_key = $2 WHERE id = $3', [pan, pan_key, id]);
}
