/**
 * Rights on the queue, which has no encrypted field; those on the other tables are printed by `fieldseal policy`. The web
 * tier orders charges and sees what became of them; results are written by the payment tier alone. Of a reason, which tells
 * more than a customer should see, the web tier reads nothing.
 */
export const QUEUE_GRANTS = `
GRANT INSERT (id, card_id, amount_cents, created_at) ON charges TO shop_web;
GRANT SELECT (id, card_id, amount_cents, state, created_at) ON charges TO shop_web;
GRANT SELECT, UPDATE (state, reason) ON charges TO shop_payment;
`;
