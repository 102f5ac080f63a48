/**
 * Rights on the queue, which has no encrypted field; those on the other tables are printed by `fieldseal policy`. The web
 * tier orders charges and sees what became of them; results are written by the payment tier alone. Of a reason, which tells
 * more than a customer should see, the web tier reads nothing.
 */
export const QUEUE_GRANTS = `
GRANT INSERT (id, card_id, amount_cents, created_at) ON charges TO shop_web;
GRANT SELECT (id, card_id, amount_cents, state, created_at) ON charges TO shop_web;
GRANT SELECT, UPDATE (state, reason, next_attempt_at) ON charges TO shop_payment;
`;

/**
 * Rights on the lists of public keys, with sealed delivery of cards. They are signed, so whoever could write here could
 * put no key of his own among them, but he could keep the web tier from selling: the key tier alone may.
 */
export const LIST_GRANTS = `
GRANT SELECT ON public_key_lists TO shop_web;
GRANT SELECT (purpose), INSERT, UPDATE (list) ON public_key_lists TO shop_keys;
`;
