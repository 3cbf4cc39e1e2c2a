import { TestBroker } from 'liftbridge-test-broker';
import { expect, it } from 'vitest';
import { Certificates } from '../support/certificates.js';
import { runNode } from '../support/child-process.js';

it('TLS to an IP address works when deprecation warnings throw, and prints no warning', async () => {
  const certificates = await Certificates.create();
  await using broker = await TestBroker.start({ tls: await certificates.issue() });
  const [address] = broker.addresses;
  expect(address).toMatch(/^127\.0\.0\.1:/);
  const args = ['--throw-deprecation', '--import', 'tsx', 'test/integration/tls-ip-worker.ts', address!];
  const { code, out, error } = await runNode(args, certificates.ca.cert);
  expect({ code, out, error }).toEqual({ code: 0, out: 'stored at 0\nread one\n', error: '' });
});
