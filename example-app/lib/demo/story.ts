/** How the demo tells what it does. */

export function say(title: string, text: string): void {
  console.log(`\n${title}\n  ${text}`);
}

export function print(name: string, value: string): void {
  console.log(`  ${name.padEnd(36)} ${value}`);
}

/** What an attempt was refused with. @throws Error when it was not refused: then the demo has nothing to show. */
export async function refusal(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    return code === undefined ? message : `${code}: ${message}`;
  }
  throw new Error('Expected a refusal, and it worked.');
}
