/** What all chapters of the demo use: the running shop, a visitor, and the owner's view of the database. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { shopDataSource } from '../../config/data-source.js';
import { Browser } from '../local-shop/browser.js';
import type { LocalShop, StartedTiers } from '../local-shop/local-shop.js';
import type { TierProcess } from '../local-shop/tier-process.js';

const CHARGE_TIMEOUT_MS = 15_000;

export class Stage {
  readonly shop: LocalShop;
  readonly visitor: Browser;
  /** Not attached to any field seal: it sees rows as they are. */
  readonly owner: DataSource;
  readonly web: TierProcess;
  payment: TierProcess;
  readonly keys: TierProcess | undefined;
  /** Address of the customer's page, as soon as there is one. */
  customerPage = '';

  static async start(shop: LocalShop): Promise<Stage> {
    const owner = await shopDataSource(shop.databases.admin).initialize();
    // So that the log of PostgreSQL, which is searched in the end, has every statement with its parameters.
    await owner.query(`ALTER DATABASE shop SET log_statement = 'all'`);
    return new Stage(shop, owner, await shop.startTiers());
  }

  private constructor(shop: LocalShop, owner: DataSource, { web, payment, keys }: StartedTiers) {
    this.shop = shop;
    this.owner = owner;
    this.web = web;
    this.payment = payment;
    this.keys = keys;
    this.visitor = new Browser(web.url);
  }

  /** The rows of the customer's page, as soon as none of its charges is pending. */
  async charged(): Promise<readonly string[]> {
    const end = performance.now() + CHARGE_TIMEOUT_MS;
    for (;;) {
      const rows = await this.shownCards();
      if (!rows.some((row) => row.includes('pending'))) return rows;
      if (performance.now() > end) throw new Error('The cards were not charged in time.');
      await sleep(100);
    }
  }

  /** The rows of the table on the customer's page, as texts. */
  async shownCards(): Promise<readonly string[]> {
    const { body } = await this.visitor.get(this.customerPage);
    return [...body.matchAll(/<tr>\s*(<td>.*?)<\/tr>/gsu)].map(([, cells]) =>
      cells!
        .replaceAll(/<[^>]+>/gu, ' ')
        .replaceAll(/\s+/gu, ' ')
        .trim(),
    );
  }

  close(): Promise<void> {
    return this.owner.destroy();
  }
}
