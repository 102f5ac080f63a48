import { describe, expect, it } from 'vitest';
import { withRetries } from '../../src/kms/retry.js';

/** Time that only moves when somebody waits. */
function fakeTiming(random: number) {
  const pauses: number[] = [];
  let now = 0;
  return {
    pauses,
    now: () => now,
    random: () => random,
    pause: (delayMs: number) => {
      pauses.push(delayMs);
      now += delayMs;
      return Promise.resolve();
    },
    advance: (ms: number) => {
      now += ms;
    },
  };
}

const passing = () => true;
const never = new AbortController().signal;
const failing = () => Promise.reject(new Error('down'));

describe('withRetries', () => {
  it('doubles the longest pause each time up to 2 s, scaled by chance', async () => {
    const timing = fakeTiming(0.5);
    const limits = { attempts: 9, totalMs: 60_000 };
    await expect(withRetries(failing, passing, limits, never, timing)).rejects.toThrow('down');
    expect(timing.pauses).toEqual([25, 50, 100, 200, 400, 800, 1_000, 1_000]);
  });

  it('does not begin a pause that would end after the time is up', async () => {
    const timing = fakeTiming(1);
    await expect(
      withRetries(failing, passing, { attempts: 9, totalMs: 150 }, never, timing),
    ).rejects.toThrow();
    expect(timing.pauses).toEqual([50]);
  });

  it('tells each attempt how much time is left', async () => {
    const timing = fakeTiming(1);
    const left: number[] = [];
    const attempt = (leftMs: number) => {
      left.push(leftMs);
      timing.advance(10);
      return failing();
    };
    await expect(
      withRetries(attempt, passing, { attempts: 2, totalMs: 500 }, never, timing),
    ).rejects.toThrow();
    expect(left).toEqual([500, 440]);
  });

  it('throws at once what cannot pass', async () => {
    const timing = fakeTiming(1);
    const limits = { attempts: 9, totalMs: 60_000 };
    await expect(withRetries(failing, () => false, limits, never, timing)).rejects.toThrow('down');
    expect(timing.pauses).toEqual([]);
  });

  it('a pause ends when the signal does, with the error of the last attempt', async () => {
    const abort = new AbortController();
    const limits = { attempts: 9, totalMs: 600_000 };
    const timing = { now: () => 0, random: () => 1, pause: waitForAbort };
    const running = withRetries(failing, passing, limits, abort.signal, timing);
    abort.abort();
    await expect(running).rejects.toThrow('down');
  });
});

function waitForAbort(_delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(new Error('aborted'));
    signal.addEventListener('abort', () => {
      reject(new Error('aborted'));
    });
  });
}
