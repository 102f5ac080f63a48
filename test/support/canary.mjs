/** Plaintexts that tests seal and never show, and the forms in which something might show them. */

/** See index.d.mts. */
export const CANARY_TEXTS = [
  'canary-7f3a9c51',
  '4929123456789015',
  'canary-json-2c9e417b',
  'canary-padded-91d37e06',
  'canary-search-e8d05a6f',
  '90071992547409931842',
  '7310924.0625',
  '1931-07-19T05:23:41.119',
];

/** See index.d.mts. */
export function formsOf(bytes) {
  const text = bytes.toString();
  const wide = Buffer.from(text, 'utf16le');
  return [
    ...new Set([
      bytes.toString('latin1'),
      wide.toString('latin1'),
      latin1(encodeURIComponent(text)),
      latin1(JSON.stringify(text).slice(1, -1)),
      ...[bytes, wide].flatMap(printed),
    ]),
  ];
}

/** Characters of a form that are looked up at every place of a text; longer forms are compared where theirs stand. */
const PROBE = 12;

/** See index.d.mts. */
export function canariesIn(text, canaries) {
  const seen = new Set();
  const byProbe = new Map();
  for (const bytes of canaries) {
    for (const form of formsOf(bytes)) {
      const probe = form.slice(0, PROBE);
      if (probe.length < PROBE) {
        if (text.includes(form)) seen.add(bytes);
      } else if (byProbe.has(probe)) byProbe.get(probe).push([form, bytes]);
      else byProbe.set(probe, [[form, bytes]]);
    }
  }
  // One walk for all: a search for each form would read tens of megabytes a hundred thousand times.
  for (let at = 0; at + PROBE <= text.length; at++) {
    for (const [form, bytes] of byProbe.get(text.slice(at, at + PROBE)) ?? []) {
      if (text.startsWith(form, at)) seen.add(bytes);
    }
  }
  return [...seen];
}

const latin1 = (text) => Buffer.from(text).toString('latin1');

function printed(bytes) {
  const hex = bytes.toString('hex');
  return [
    hex,
    hex.toUpperCase(),
    hex.match(/../gu).join(' '),
    [...bytes].join(','),
    [...bytes].join(', '),
    ...[0, 1, 2].flatMap((before) => base64After(bytes, before)),
  ];
}

/** What all Base64 texts have in common that hold the bytes after so many others, modulo three. */
function base64After(bytes, before) {
  const base64 = Buffer.concat([Buffer.alloc(before), bytes])
    .toString('base64')
    .replace(/=+$/u, '');
  const isWhole = (bytes.length + before) % 3 === 0;
  const known = base64.slice(Math.ceil((before * 4) / 3), isWhole ? undefined : -1);
  return [known, known.replaceAll('+', '-').replaceAll('/', '_')];
}
