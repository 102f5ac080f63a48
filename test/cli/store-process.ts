/** `fieldseal store …` alone, without the other commands. */
import { storeCommand } from '../../src/cli/store.js';

await storeCommand().parseAsync();
