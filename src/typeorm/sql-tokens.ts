/**
 * SQL as a list of names, values and symbols, with a list in it for each pair of brackets. Comments are left out, and text in
 * quotes is a value, whatever words are in it: nobody searches either for the names of columns.
 */
import type { Family } from './column-types.js';

/** `card.pan`, `"card"."pan"`, `card.*`, a function, a keyword. */
export interface Name {
  readonly kind: 'name';
  /** In lower case, since databases compare unquoted names so; the last part may be `*`. */
  readonly path: readonly string[];
  /** In upper case, of a name without quotes that stands alone, which may be a keyword; empty for every other. */
  readonly word: string;
}

export interface Group {
  readonly kind: 'group';
  readonly items: readonly Token[];
}

export type Token =
  | Name
  | Group
  /** A literal, a number, a parameter. */
  | { readonly kind: 'value'; readonly text: string }
  | { readonly kind: 'symbol'; readonly text: string };

interface Dialect {
  readonly comments: string;
  readonly literals: string;
  /** Names in quotes. */
  readonly quoted: string;
}

const DOUBLE = '"(?:[^"]|"")*"';
const BACKTICKS = '`(?:[^`]|``)*`';
const LITERAL = "'(?:[^']|'')*'";
const WITH_ESCAPES = String.raw`'(?:[^'\\]|\\.|'')*'`;
const BLOCK = String.raw`/\*.*?\*/`;

const DIALECTS: Readonly<Record<Family, Dialect>> = {
  postgres: {
    comments: String.raw`--[^\n]*|${BLOCK}`,
    literals: String.raw`E${WITH_ESCAPES}|(?:[BXN]|U&)?${LITERAL}|\$(?<tag>[a-z_]\w*|)\$.*?\$\k<tag>\$|\$\d+`,
    quoted: DOUBLE,
  },
  mysql: {
    // What stands in `/*! … */` is executed.
    comments: String.raw`--(?=\s|$)[^\n]*|#[^\n]*|/\*!\d*|${BLOCK}`,
    literals: String.raw`[BXN]?${WITH_ESCAPES}|@+[\w.$]*`,
    // The second kind quotes text, unless it is a part of a longer name or the server says otherwise.
    quoted: String.raw`${BACKTICKS}|"(?:[^"\\]|\\.|"")*"`,
  },
  sqlite: {
    comments: String.raw`--[^\n]*|${BLOCK}`,
    literals: `X?${LITERAL}`,
    quoted: String.raw`${DOUBLE}|${BACKTICKS}|\[[^\]]*\]`,
  },
};

/** Reads the statements of one family of databases. An unclosed quote or bracket ends with the text. */
export function tokenizer(family: Family): (sql: string) => readonly Token[] {
  const { comments, literals, quoted } = DIALECTS[family];
  const part = String.raw`(?:${quoted}|[\p{L}_][\p{L}\p{N}_$]*)`;
  const pattern = new RegExp(
    [
      String.raw`(?:\s|${comments})+`,
      `(?<value>${literals}|(?<!:):(?:\\.\\.\\.)?[\\w.]+|\\.?\\d[\\w.]*)`,
      String.raw`(?<name>${part}(?:\s*\.\s*(?:${part}|\*))*)`,
      `(?<symbol>::|:=|=>|.)`,
    ].join('|'),
    'gisu',
  );
  const parts = new RegExp(`${part}|\\*`, 'giu');
  const isName = family === 'mysql' ? (text: string) => !/^"(?:[^"\\]|\\.|"")*"$/su.test(text) : () => true;

  const nameOf = (text: string): Token => {
    if (!isName(text)) return { kind: 'value', text };
    const path = (text.match(parts) ?? []).map((one) => unquoted(one).toLowerCase());
    return { kind: 'name', path, word: /^[\p{L}_][\p{L}\p{N}_$]*$/u.test(text) ? text.toUpperCase() : '' };
  };

  return (sql) => {
    const open: Token[][] = [[]];
    for (const { groups } of sql.matchAll(pattern)) {
      const { value, name, symbol } = groups!;
      const items = open.at(-1)!;
      if (value !== undefined) items.push({ kind: 'value', text: value });
      else if (name !== undefined) items.push(nameOf(name));
      else if (symbol === '(') {
        const inner: Token[] = [];
        items.push({ kind: 'group', items: inner });
        open.push(inner);
      } else if (symbol === ')') {
        if (open.length > 1) open.pop();
      } else if (symbol !== undefined) items.push({ kind: 'symbol', text: symbol });
    }
    return open[0]!;
  };
}

/** Without its quotes, of whichever kind. */
function unquoted(name: string): string {
  const quote = name[0]!;
  if (quote === '[') return name.slice(1, -1);
  return quote === '"' || quote === '`' ? name.slice(1, -1).replaceAll(quote + quote, quote) : name;
}
