/** The context that a key source was started with, once: it serves one field seal. */
import { ConfigError } from '../errors.js';
import type { KeyScope, SourceContext } from '../keys/ports.js';

export class StartedOnce {
  #context: SourceContext | undefined;

  /** @throws ConfigError `ERR_CONFIG_OPTION` the second time. */
  start(context: SourceContext): void {
    if (this.#context !== undefined) {
      throw new ConfigError(
        'ERR_CONFIG_OPTION',
        'keys: this key source was started before; make one key source for each field seal.',
      );
    }
    this.#context = context;
  }

  /** @throws ConfigError `ERR_CONFIG_OPTION` before the start. */
  get context(): SourceContext {
    if (this.#context !== undefined) return this.#context;
    throw new ConfigError(
      'ERR_CONFIG_OPTION',
      'keys: this key source was not started; createFieldSeal does it.',
    );
  }

  scope(purpose: string): KeyScope {
    const { application, environment } = this.context;
    return { application, environment, purpose };
  }
}
