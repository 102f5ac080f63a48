/** Patterns of IAM policies: `*` is any text, `?` any one character. */

export function matchesPattern(pattern: string, text: string): boolean {
  return expression(pattern).test(text);
}

/** Actions are compared without regard to case, as IAM does. */
export function matchesAction(pattern: string, action: string): boolean {
  return matchesPattern(pattern.toLowerCase(), action.toLowerCase());
}

function expression(pattern: string): RegExp {
  const parts = pattern.split(/([*?])/).map((part) => {
    if (part === '*') return '.*';
    return part === '?' ? '.' : part.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`, 's');
}
