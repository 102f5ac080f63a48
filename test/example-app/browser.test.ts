/** The shop in a real browser: register, add a card, see its mask, be charged. */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openShop, type TestShop } from './shop.js';
import { CARD, CUSTOMER, cvvIn, DECLINED_CARD, SECRETS } from './typed-in.js';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Nothing but the shop is asked for anything. */
const ARGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

const hasChromium = existsSync(CHROMIUM);
if (!hasChromium)
  console.log(`browser tests: skipped, no browser at ${CHROMIUM}; set CHROMIUM, or install one`);

describe.runIf(hasChromium)('in Chromium', () => {
  let test: TestShop;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    test = await openShop();
    const [web] = await Promise.all([test.shop.startWeb(), test.shop.startPayment()]);
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
    page = await browser.newPage({ baseURL: web.url });
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
  }, 120_000);
  afterAll(async () => {
    await browser.close();
    await test.stop();
  });

  async function fillCard({ number, expires, cvv }: typeof CARD): Promise<void> {
    await page.getByLabel('Card number').fill(number);
    await page.getByLabel('Expires').fill(expires);
    await page.getByLabel('Security code').fill(cvv);
  }

  const stateOf = async (mask: string): Promise<string> => {
    const row = page.getByRole('row').filter({ hasText: mask });
    await row.getByText(/^(charged|declined)$/u).waitFor({ timeout: 20_000 });
    return row.getByRole('cell').last().innerText();
  };

  it('registers a customer, adds cards and shows how they were charged', async () => {
    await page.goto('/');
    await page.getByLabel('Name').fill(CUSTOMER.name);
    await page.getByLabel('E-mail').fill(CUSTOMER.email);
    await page.getByLabel('Phone').fill(CUSTOMER.phone);
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByText('No card yet').waitFor();
    for (const card of [CARD, DECLINED_CARD]) {
      await page.getByRole('link', { name: 'Add a card' }).click();
      await fillCard(card);
      await page.getByRole('button', { name: 'Add card' }).click();
      await page.getByText('only the payment tier can read them').waitFor();
    }
    // The page loads itself again while a charge is pending.
    expect(await stateOf('•••• 9015')).toBe('charged');
    expect(await stateOf('•••• 0002')).toBe('declined');
    const content = await page.content();
    for (const secret of SECRETS) expect(content).not.toContain(secret);
  });

  it('keeps a person, and forgets a card, when a form is wrong', async () => {
    await page.goto('/customers/new');
    await page.getByLabel('Name').fill(CUSTOMER.name);
    await fillCard({ ...CARD, number: '4929123456789016' });
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByText('a digit is wrong').waitFor();
    expect(await page.getByLabel('Name').inputValue()).toBe(CUSTOMER.name);
    expect(await page.getByLabel('Card number').inputValue()).toBe('');
    expect(await page.getByLabel('Security code').inputValue()).toBe('');
  });

  it('is content with the pages: their style is allowed, and nothing else is loaded', async () => {
    await page.goto('/customers/new');
    const width = await page.evaluate<string>("getComputedStyle(document.querySelector('main')).maxWidth");
    expect(width).toBe('576px');
    // Of the form that was wrong it tells the status.
    expect(complaints.filter((text) => !text.includes('status of 422'))).toEqual([]);
  });

  it('leaves nothing of what was typed in to any log', () => {
    expect(test.logs()).toContain('charge done');
    expect(test.logged(SECRETS)).toEqual([]);
    expect(cvvIn(test.logs())).toBe(false);
  });
});
