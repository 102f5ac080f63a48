/** The documents as text, in the formats of `fieldseal policy`. */
import type { EncryptedTable } from '../keys/encrypted-table.js';
import { awsDocuments, type AwsDocuments } from './documents.js';
import { grants } from './grants.js';
import type { PolicySettings, Tier } from './settings.js';
import { terraform } from './terraform.js';

export const FORMATS = ['json', 'sql', 'terraform', 'all'] as const;
export type Format = (typeof FORMATS)[number];

/** Databases that SQL is for. */
export const DATABASES = ['application', 'key-store'] as const;
export type Database = (typeof DATABASES)[number];

export interface PrintRequest {
  readonly settings: PolicySettings;
  /** Undefined where the configuration exports no data source. */
  readonly tables: readonly EncryptedTable[] | undefined;
  /** Documents of this tier alone. A key policy is put as a whole, for all tiers, and so left out. */
  readonly tier: Tier | undefined;
  /** SQL for this database alone. */
  readonly database?: Database | undefined;
}

interface Section {
  readonly heading: string;
  readonly text: string;
}

type Printer = (request: PrintRequest) => string;

const PRINTERS: Readonly<Record<Format, Printer>> = {
  json: (request) => json(awsOf(request)),
  sql: (request) => {
    const sections = sqlSections(request);
    return sections.length === 0 ? noGrants(request) : joined(sections, '--');
  },
  terraform: (request) => terraform(request.settings, request.tier),
  all: (request) => {
    const documents = awsOf(request);
    const { settings } = request;
    return joined(
      [
        ...[...documents.keyPolicies].map(([arn, policy]) => section(`KMS key policy of ${arn}`, policy)),
        ...[...documents.identityPolicies].map(([tier, policy]) =>
          section(`IAM policy of the tier ${tier}`, policy),
        ),
        ...(settings.database === undefined ? [] : sqlSections(request)),
        { heading: 'Terraform', text: terraform(settings, request.tier) },
      ],
      '#',
    );
  },
};

/**
 * The documents that the settings ask for; the same text for the same settings.
 * @throws ConfigError `ERR_CONFIG_OPTION`, `ERR_CONFIG_PURPOSE_UNKNOWN`.
 */
export function printPolicies(format: Format, request: PrintRequest): string {
  return PRINTERS[format](request);
}

function awsOf({ settings, tier }: PrintRequest): AwsDocuments {
  return awsDocuments(settings, tier);
}

function json({ keyPolicies, identityPolicies }: AwsDocuments): string {
  return inJson({
    ...(keyPolicies.size > 0 && { keyPolicies: Object.fromEntries(keyPolicies) }),
    identityPolicies: Object.fromEntries(identityPolicies),
  });
}

const WHERE: Readonly<Record<Database, string>> = {
  application: "in the application's database",
  'key-store': 'in the database of the key store',
};

function sqlSections({ settings, tables, tier, database }: PrintRequest): readonly Section[] {
  // The tables of the application have nothing to do with the key store.
  const { application, keyStore } = grants(settings, database === 'key-store' ? [] : tables, tier);
  const texts = { application, 'key-store': keyStore };
  return DATABASES.filter((name) => (database ?? name) === name && texts[name] !== '').map((name) => ({
    heading: `Grants ${WHERE[name]}, run by the owner of its tables`,
    text: texts[name],
  }));
}

/** Nothing at all would look like a mistake. */
function noGrants({ tier, database }: PrintRequest): string {
  const needs = tier === undefined ? 'no tier needs any' : `the tier ${tier} needs none`;
  return `-- No grants: ${needs}${database === undefined ? '' : ` ${WHERE[database]}`}.\n`;
}

function section(heading: string, document: object): Section {
  return { heading, text: inJson(document) };
}

function joined(sections: readonly Section[], mark: string): string {
  return sections.map(({ heading, text }) => `${mark} ${heading}\n${text}`).join('\n');
}

function inJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
