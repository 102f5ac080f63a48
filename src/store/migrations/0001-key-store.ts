import type { Migration } from './migration.js';

/**
 * Keys, their wraps, their events. Row-level security goes by database role, not by a setting of the session: a
 * session may set what it likes, its role is what it logged in as. A role sees the applications that
 * `role_applications` gives to it or to a role it is a member of; the owner of the tables sees all.
 */
export const keyStore: Migration = {
  version: 1,
  name: 'key store',
  breaking: false,
  sql: (schema) => `
DO $$ BEGIN
  -- Not IF NOT EXISTS, which wants the right to create schemas even when there is nothing to create.
  IF to_regnamespace('${schema}') IS NULL THEN CREATE SCHEMA "${schema}"; END IF;
END $$;

CREATE TABLE "${schema}".migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  breaking boolean NOT NULL
);

CREATE TABLE "${schema}".data_keys (
  fingerprint uuid PRIMARY KEY,
  application text NOT NULL CHECK (application <> ''),
  environment text NOT NULL CHECK (environment <> ''),
  purpose text NOT NULL CHECK (purpose <> ''),
  kind text NOT NULL CHECK (kind IN ('data', 'pair', 'index', 'store')),
  version integer NOT NULL CHECK (version >= 0),
  state text NOT NULL CONSTRAINT data_keys_state_check CHECK (state IN
    ('FUTURE', 'ENCRYPT', 'DECRYPT', 'RECRYPT', 'EXPIRED', 'SUSPENDED', 'COMPROMISED', 'DESTROYED')),
  state_before text CONSTRAINT data_keys_state_before_check CHECK (state_before IN
    ('FUTURE', 'ENCRYPT', 'DECRYPT', 'RECRYPT', 'EXPIRED', 'SUSPENDED', 'COMPROMISED', 'DESTROYED')),
  commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
  public_key bytea,
  created timestamptz(3) NOT NULL,
  activates timestamptz(3),
  retires timestamptz(3),
  destroys_after timestamptz(3),
  cells bigint NOT NULL CHECK (cells >= 0),
  bytes bigint NOT NULL CHECK (bytes >= 0),
  prefixes bigint NOT NULL CHECK (prefixes >= 0),
  revision bigint NOT NULL CHECK (revision >= 1),
  row_mac bytea NOT NULL CHECK (octet_length(row_mac) = 32)
);
CREATE INDEX data_keys_scope ON "${schema}".data_keys (application, environment, purpose, kind, state);
CREATE UNIQUE INDEX data_keys_one_per_version ON "${schema}".data_keys (application, environment, purpose, kind, version)
  WHERE kind IN ('index', 'store');

CREATE TABLE "${schema}".key_wraps (
  fingerprint uuid NOT NULL REFERENCES "${schema}".data_keys,
  kek text NOT NULL CHECK (kek <> ''),
  key_material_id text,
  wrap_id uuid NOT NULL,
  wrapped bytea NOT NULL CHECK (octet_length(wrapped) > 0),
  created timestamptz(3) NOT NULL,
  PRIMARY KEY (fingerprint, wrap_id)
);
CREATE INDEX key_wraps_kek ON "${schema}".key_wraps (kek);

CREATE TABLE "${schema}".key_events (
  application text NOT NULL,
  environment text NOT NULL,
  purpose text NOT NULL,
  seq bigint NOT NULL CHECK (seq >= 1),
  at timestamptz(3) NOT NULL,
  who text NOT NULL,
  fingerprint uuid NOT NULL,
  from_state text,
  to_state text NOT NULL,
  why text NOT NULL,
  previous bytea NOT NULL CHECK (octet_length(previous) = 32),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  mac bytea NOT NULL CHECK (octet_length(mac) = 32),
  PRIMARY KEY (application, environment, purpose, seq)
);
CREATE INDEX key_events_fingerprint ON "${schema}".key_events (fingerprint);

CREATE TABLE "${schema}".role_applications (
  role name NOT NULL,
  application text NOT NULL CHECK (application <> ''),
  PRIMARY KEY (role, application)
);

-- Also against the owner of the table: who wants to rewrite history must first alter the table, which logs show.
CREATE FUNCTION "${schema}".refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'key events are append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER key_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "${schema}".key_events
  FOR EACH STATEMENT EXECUTE FUNCTION "${schema}".refuse_change();

CREATE FUNCTION "${schema}".tell_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_catalog.pg_notify('${schema}_revoked', NEW.fingerprint::text);
  RETURN NULL;
END $$;
CREATE TRIGGER data_keys_tell_revoked AFTER UPDATE ON "${schema}".data_keys
  FOR EACH ROW WHEN (NEW.state <> OLD.state AND NEW.state IN ('SUSPENDED', 'COMPROMISED', 'DESTROYED'))
  EXECUTE FUNCTION "${schema}".tell_revoked();

-- Runs with the rights of the role that asks, which therefore needs SELECT on role_applications.
CREATE FUNCTION "${schema}".visible_applications() RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(g.application), '{}')
  FROM "${schema}".role_applications g JOIN pg_catalog.pg_roles r ON r.rolname = g.role
  WHERE pg_catalog.pg_has_role(r.oid, 'USAGE')
$$;

-- The function stands in a SELECT so that it runs once a statement and not once a row.
ALTER TABLE "${schema}".data_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_application ON "${schema}".data_keys
  USING (application = ANY ((SELECT "${schema}".visible_applications())::text[]));

ALTER TABLE "${schema}".key_wraps ENABLE ROW LEVEL SECURITY;
-- Through data_keys, whose own policy applies to the role that asks.
CREATE POLICY own_application ON "${schema}".key_wraps
  USING (EXISTS (SELECT FROM "${schema}".data_keys k WHERE k.fingerprint = key_wraps.fingerprint));

ALTER TABLE "${schema}".key_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_application ON "${schema}".key_events
  USING (application = ANY ((SELECT "${schema}".visible_applications())::text[]));
`,
};
