/** What KMS and logs have seen. */
import { readFileSync } from 'node:fs';
import { canariesIn } from '@fieldseal/test-support';
import { textsOf } from './deliveries.js';
import type { Stage } from './stage.js';
import { print, say } from './story.js';
import { SECRETS } from './typed-in.js';

export function showKmsCalls({ shop }: Stage): void {
  say('What the KMS was asked, by principal', textsOf(shop.cardDelivery).kmsCalls);
  for (const principal of ['web', 'payment', 'keys'] as const) {
    if (principal === 'keys' && shop.keyStore === undefined) continue;
    const counts = new Map<string, number>();
    for (const entry of shop.kms.audit()) {
      if (entry.principal !== principal) continue;
      const what = `${entry.error === null ? '+' : '-'}${entry.event}`;
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    print(principal, [...counts].map(([what, count]) => `${what} ${count}`).join(', '));
  }
}

/** @throws Error when something that was typed in stands in a log. */
export function searchLogs({ shop }: Stage): void {
  say('The logs', 'Names, addresses and numbers that were typed in, looked for in all that was logged:');
  const logs = [...shop.outputs().map(bytesOf), readFileSync(shop.postgres.logFile, 'latin1')];
  const seen = canariesIn(
    logs.join('\n'),
    SECRETS.map((text) => Buffer.from(text)),
  );
  if (seen.length > 0) throw new Error(`${seen.length} of them stand in a log.`);
  print('seen', `none of ${SECRETS.length}, in ${logs.join('').length} characters`);
}

/** One character a byte, as the search wants it. */
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');
