/**
 * Moments that are judged by two clocks. The wall clock may be set back, the monotonic one stands still while the
 * machine sleeps; whichever is ahead decides, so that neither lets a key live longer than its policy says.
 */
import type { Clock } from './ports.js';

export interface Deadline {
  /** ms since the epoch. */
  readonly wall: number;
  /** ms on the monotonic clock. */
  readonly monotonic: number;
}

export function now(clock: Clock): Deadline {
  return { wall: clock.wall(), monotonic: clock.monotonic() };
}

export function later(moment: Deadline, byMs: number): Deadline {
  return { wall: moment.wall + byMs, monotonic: moment.monotonic + byMs };
}

/** By each clock the earlier one. */
export function earlier(one: Deadline, other: Deadline): Deadline {
  return {
    wall: Math.min(one.wall, other.wall),
    monotonic: Math.min(one.monotonic, other.monotonic),
  };
}

/** What is left until the deadline by the clock that is ahead, in ms; 0 or less when it has passed. */
export function msUntil(deadline: Deadline, clock: Clock): number {
  return Math.min(deadline.wall - clock.wall(), deadline.monotonic - clock.monotonic());
}

export function hasPassed(deadline: Deadline, clock: Clock): boolean {
  return msUntil(deadline, clock) <= 0;
}

/** Age by the clock that is ahead, in ms. */
export function msSince(moment: Deadline, clock: Clock): number {
  return Math.max(clock.wall() - moment.wall, clock.monotonic() - moment.monotonic);
}
