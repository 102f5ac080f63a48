/** Entities of the canary suite, and rows of them whose every value is a canary. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { CANARY_TEXTS, formsOf } from '@fieldseal/test-support';
import {
  Check,
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type DataSource,
  type Relation,
} from 'typeorm';
import { Encrypted } from '../../src/typeorm/index.js';

export interface Extra {
  secret: string;
  list: number[];
}

/** An application's own check, which quotes what it refuses. */
function refuseWord(word: string): string {
  if (word.includes(REFUSED)) throw new Error(`${REFUSED} in ${word}`);
  return word;
}

/** A word with it is refused by the application. */
export const REFUSED = '!';

@Entity('vaults')
@Check('vault_kind', "kind <> 'forbidden'")
export class Vault {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('varchar', { length: 10, default: 'plain' }) kind!: string;
  @Encrypted({ purpose: 'personal-data', blindIndex: { normalize: refuseWord } }) word!: string;
  @Encrypted({ purpose: 'card-number', blindIndex: { unique: true }, bind: ['id'] }) pan!: string;
  @Encrypted({ purpose: 'personal-data', type: 'number', blindIndex: true }) amount!: number;
  @Encrypted({ purpose: 'personal-data', type: 'bigint', blindIndex: true }) big!: bigint;
  @Encrypted({ purpose: 'personal-data', type: 'date', blindIndex: true }) born!: Date;
  @Encrypted({ purpose: 'personal-data', type: 'boolean' }) flag!: boolean;
  @Encrypted({ purpose: 'personal-data', type: 'json', blindIndex: true }) extra!: Extra;
  @Encrypted({ purpose: 'personal-data', type: 'bytes', blindIndex: true }) photo!: Buffer;
  @Encrypted({ purpose: 'personal-data', pad: 32 }) padded!: string;
  @OneToMany('Leaf', 'vault', { cascade: true }) leaves!: Relation<Leaf[]>;
}

@Entity('leaves')
export class Leaf {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) word!: string;
  @ManyToOne(() => Vault, (vault) => vault.leaves, { nullable: true })
  @JoinColumn({ name: 'vault_id' })
  vault!: Relation<Vault> | null;
}

/** Not encrypted: what is written here must be seen wherever the scan looks. */
@Entity('notes')
export class Note {
  @PrimaryColumn('int') id!: number;
  @Column('text', { unique: true }) text!: string;
}

export const ENTITIES = [Vault, Leaf, Note];

/** In the words of a {@link Note}. */
export const CONTROL = 'control-61d0b2e7';

const [WORD, PAN, JSON_WORD, PADDED, SEARCHED, BIG, AMOUNT, BORN] = CANARY_TEXTS as readonly [
  ...[string, string, string, string, string, string, string, string],
];
const PHOTO = Buffer.from('c0ffee5eed7a11dead10ccbeadfacade', 'hex');

/** Values that no row has. */
export const SEARCHED_VALUES = { word: SEARCHED, pan: `${PAN}-${SEARCHED}` };

let made = 0;

/** A new row; numbers of cards are unique, all other values are the same in every row. `more` may be anything. */
export function newVault(more: Partial<Record<keyof Vault, unknown>> = {}): Vault {
  const leaf = Object.assign(new Leaf(), { word: `${WORD} of a leaf` });
  return Object.assign(new Vault(), {
    word: `${WORD} "zażółć" 100%/+`,
    pan: `${PAN}-${process.pid}-${++made}`,
    amount: Number(AMOUNT),
    big: BigInt(BIG),
    born: new Date(`${BORN}Z`),
    flag: true,
    extra: { secret: JSON_WORD, list: [Number(AMOUNT)] },
    photo: PHOTO,
    padded: PADDED,
    leaves: [leaf],
    ...(more as Partial<Vault>),
  });
}

const float = (write: 'writeDoubleBE' | 'writeDoubleLE'): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes[write](Number(AMOUNT));
  return bytes;
};

const CANARIES: readonly Buffer[] = [
  ...CANARY_TEXTS.map((text) => Buffer.from(text)),
  Buffer.from(new Date(`${BORN}Z`).toString()),
  Buffer.from(String(new Date(`${BORN}Z`).getTime())),
  Buffer.from(BigInt(BIG).toString(16)),
  float('writeDoubleBE'),
  float('writeDoubleLE'),
  PHOTO,
];
const FORMS = CANARIES.map((canary, i) => ({ i, forms: formsOf(canary) }));

/** Numbers of the canaries that stand in the bytes or the text, in whatever form. */
export function canariesIn(haystack: Buffer | string): number[] {
  const text = latin1(haystack);
  return FORMS.filter(({ forms }) => forms.some((form) => text.includes(form))).map(({ i }) => i);
}

export function showsControl(haystack: Buffer | string): boolean {
  return latin1(haystack).includes(CONTROL);
}

const latin1 = (haystack: Buffer | string): string =>
  (typeof haystack === 'string' ? Buffer.from(haystack) : haystack).toString('latin1');

/** A row of kind 'slow' is three seconds in its INSERT. */
export async function addSlowTrigger(dataSource: DataSource): Promise<void> {
  await dataSource.query(`CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.kind = 'slow' THEN PERFORM pg_sleep(3); END IF; RETURN NEW; END $$`);
  await dataSource.query('CREATE TRIGGER nap BEFORE INSERT ON vaults FOR EACH ROW EXECUTE FUNCTION nap()');
}
