/** The other process in process-exit.test.ts. Argument: `leave-open` or `close`. */
import { createFieldSeal } from '../../src/keys/create-field-seal.js';
import { MemorySource } from './memory-source.js';

async function resources(): Promise<string> {
  // What loading this file opened is closed by then.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return process.getActiveResourcesInfo().sort().join(' ');
}

const before = await resources();
const seal = await createFieldSeal({
  application: 'shop',
  environment: 'test',
  purposes: { 'card-number': {} },
  keys: new MemorySource(),
});
const cell = seal.seal('card-number', 'cards.pan', '4111111111111111');
await seal.open('card-number', 'cards.pan', cell);
if (process.argv[2] === 'close') {
  await seal.close();
  const after = await resources();
  console.log(after === before ? 'nothing left' : `left: ${after}, before: ${before}`);
}
console.log('done');
