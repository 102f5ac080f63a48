/** Things that an entity and a text decide, kept from one statement to the next. */
import { LRUCache } from 'lru-cache';
import type { EntityMetadata } from 'typeorm';

/** Of one entity: an application may make up aliases and statements without end. */
const MAX_KEPT = 100;

/** What was made last for each pair. Metadata never changes once it is built; `initialize()` builds it anew. */
export class PerEntity<T extends object | string> {
  readonly #kept = new WeakMap<EntityMetadata, LRUCache<string, T>>();

  /** @param mayKeep Asked when it was made; what may not be kept is made each time. */
  get(metadata: EntityMetadata, text: string, make: () => T, mayKeep?: (text: string) => boolean): T {
    let ofEntity = this.#kept.get(metadata);
    if (ofEntity === undefined) this.#kept.set(metadata, (ofEntity = new LRUCache({ max: MAX_KEPT })));
    const kept = ofEntity.get(text);
    if (kept !== undefined) return kept;
    const made = make();
    if (mayKeep === undefined || mayKeep(text)) ofEntity.set(text, made);
    return made;
  }
}
