/** Ends connections in order, and cuts off those that do not end: a server that is frozen answers no good-bye. */
import type { PgOwnClient } from './connections.js';

/** How long the good-bye of a connection, or what is under way on it, is waited for; well within the limit of a close. */
export const GOODBYE_MS = 3_000;

/** Whether it settled within `limitMs`; how is of no interest. */
export async function settlesWithin(limitMs: number, ending: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  const settled = ending.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends a client, in order where its server still answers; false when it had to be cut off. Never throws. */
export async function endClient(client: PgOwnClient): Promise<boolean> {
  const isEnded = await settlesWithin(GOODBYE_MS, client.end());
  if (!isEnded) cutOff(client);
  return isEnded;
}

/** Destroys the socket, which `pg` has in all its versions and does not document. What waits for an answer fails. */
export function cutOff(client: object): void {
  const { connection } = client as { readonly connection?: { readonly stream?: { destroy?: () => void } } };
  connection?.stream?.destroy?.();
}
