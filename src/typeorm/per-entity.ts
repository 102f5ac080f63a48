/** Things that an entity and a text decide, kept from one statement to the next. */
import { LRUCache } from 'lru-cache';
import type { EntityMetadata } from 'typeorm';

/** Of one entity: an application may make up aliases and statements without end. */
const MAX_KEPT = 100;

/** What was made last for each pair. Metadata never changes once it is built; `initialize()` builds it anew. */
export class PerEntity<T extends object | string> {
  readonly #kept = new WeakMap<EntityMetadata, LRUCache<string, T>>();

  get(metadata: EntityMetadata, text: string, make: () => T): T {
    let ofEntity = this.#kept.get(metadata);
    if (ofEntity === undefined) this.#kept.set(metadata, (ofEntity = new LRUCache({ max: MAX_KEPT })));
    let made = ofEntity.get(text);
    if (made === undefined) ofEntity.set(text, (made = make()));
    return made;
  }
}
