/** Links between the documents lead somewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const documents = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'example-app/README.md',
  ...readdirSync(new URL('docs/', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

it.each(documents)('%s has no link to a file or heading that is not there', (document) => {
  const base = new URL(document, root);
  const links = [...readFileSync(base, 'utf8').matchAll(/\]\((?!https?:)([^)\s]+)\)/gu)].map(
    ([, link]) => link!,
  );
  expect(links.filter((link) => !leadsSomewhere(new URL(link, base)))).toEqual([]);
});

function leadsSomewhere(target: URL): boolean {
  if (!existsSync(target)) return false;
  const anchor = decodeURIComponent(target.hash.slice(1));
  if (anchor === '') return true;
  const headings = readFileSync(target, 'utf8').matchAll(/^#+ (.+)$/gmu);
  return [...headings].some(([, heading]) => anchorOf(heading!) === anchor);
}

/** As GitHub makes them. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}
