/** The PostgreSQL server that tests, benchmarks and the example run against. */
import { spawnSync } from 'node:child_process';
import { startPostgres } from './postgres.mjs';

const CONTAINER_IMAGE = 'postgres:18-alpine';
const DOCKER_ANSWER_TIMEOUT_MS = 5_000;

/** See index.d.mts. */
export async function startTestDatabase({ log } = {}) {
  const given = process.env.TEST_DATABASE_URL;
  if (given) return announce('TEST_DATABASE_URL', { url: given, stop: async () => {} });
  if (dockerAnswers()) {
    try {
      return announce('testcontainers', await startContainer());
    } catch (error) {
      console.log(`test database: no container although Docker answers (${error.message}); going on without`);
    }
  }
  return announce('embedded', await startPostgres({ ...(log !== undefined && { log }) }));
}

function announce(kind, { url, stop }) {
  const { host, pathname } = new URL(url);
  console.log(`test database: ${kind}, ${host}${pathname}`);
  return { kind, url, stop };
}

function dockerAnswers() {
  const args = ['info', '--format', '{{.ServerVersion}}'];
  return spawnSync('docker', args, { stdio: 'ignore', timeout: DOCKER_ANSWER_TIMEOUT_MS }).status === 0;
}

// Imported only here: without a Docker engine the package costs a second and finds nothing.
async function startContainer() {
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer(CONTAINER_IMAGE)
    .withEnvironment({ POSTGRES_PASSWORD: 'test' })
    .withExposedPorts(5432)
    // Twice: the image starts a server for its set-up first.
    .withWaitStrategy(Wait.forLogMessage('database system is ready to accept connections', 2))
    .start();
  const url = `postgres://postgres:test@${container.getHost()}:${container.getMappedPort(5432)}/postgres`;
  return { url, stop: async () => void (await container.stop()) };
}
