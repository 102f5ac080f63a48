/** KEKs whose KMS did not answer lately: nothing new is put under them, and others are asked first, while others answer. */

/** How long a KEK is passed over, ms. Whoever waited for it in vain has waited some seconds already. */
const PASSED_OVER_MS = 60_000;

export class SilentKeks {
  readonly #until = new Map<string, number>();

  note(kek: string): void {
    this.#until.set(kek, performance.now() + PASSED_OVER_MS);
  }

  /** Those that answer, or all, where none does: one of them may be back. */
  answering(keks: readonly string[]): readonly string[] {
    const heard = keks.filter((kek) => !this.has(kek));
    return heard.length > 0 ? heard : keks;
  }

  has(kek: string): boolean {
    return (this.#until.get(kek) ?? 0) > performance.now();
  }
}
