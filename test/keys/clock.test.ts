import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/keys/clock.js';
import { hasPassed, later, msSince, msUntil, now } from '../../src/keys/deadline.js';
import { FakeClock } from './fake-clock.js';

const DAY = 86_400_000;

// The machine's own timers are the subject here, so these few milliseconds are real.
describe('the clock of the machine', () => {
  it('fires a timer of two months in two months, though setTimeout takes 24 days at most', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const armed = vi.spyOn(globalThis, 'setTimeout');
    try {
      let fired = 0;
      systemClock.after(60 * DAY, () => {
        fired += 1;
      });
      vi.advanceTimersByTime(59 * DAY);
      expect(fired).toBe(0);
      vi.advanceTimersByTime(2 * DAY);
      expect(fired).toBe(1);
      expect(armed).toHaveBeenCalledTimes(3);
    } finally {
      vi.restoreAllMocks();
      vi.useRealTimers();
    }
  });

  it('fires once after the delay, and not when it was cancelled', async () => {
    const fired: string[] = [];
    systemClock.after(1, () => fired.push('first'));
    systemClock.after(1, () => fired.push('cancelled'))();
    await sleep(30);
    expect(fired).toEqual(['first']);
  });

  it('reads both clocks in milliseconds', () => {
    expect(Math.abs(systemClock.wall() - Date.now())).toBeLessThan(1_000);
    const before = systemClock.monotonic();
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(before);
  });
});

describe('a deadline', () => {
  it('has passed as soon as either clock says so', async () => {
    const clock = new FakeClock();
    const deadline = later(now(clock), 1_000);
    expect(hasPassed(deadline, clock)).toBe(false);
    clock.setWallBy(1_000);
    expect(hasPassed(deadline, clock)).toBe(true);
    clock.setWallBy(-5_000);
    expect(msUntil(deadline, clock)).toBe(1_000);
    await clock.advance(1_000);
    expect(hasPassed(deadline, clock)).toBe(true);
  });

  it('measures age by the clock that is ahead', async () => {
    const clock = new FakeClock();
    const start = now(clock);
    await clock.advance(10);
    clock.setWallBy(90);
    expect(msSince(start, clock)).toBe(100);
    clock.setWallBy(-200);
    expect(msSince(start, clock)).toBe(10);
  });
});
