/**
 * Liftbridge brokers inside a Node process, for tests and development.
 *
 * @module liftbridge-test-broker
 */
export { TestBroker } from './broker.js';
export type { BrokerClock } from './clock.js';
export type { DeadlineEnd, FaultScope, Faults, ResetCode, RpcName } from './faults.js';
export type { StatusName } from './grpc/status.js';
export type { NatsClientOptions, NatsServerOptions } from './nats-options.js';
export { BrokerOptionError } from './option-error.js';
export type { BrokerTlsOptions, TestBrokerOptions } from './options.js';
export type { HeldPhase, Recovery, RecoveryPhase } from './recovery/phase.js';
export type { StartBrokerOptions, StopBrokerOptions } from './restarts.js';
export type { PolicyRule, SettingName } from './settings.js';
export type { StoredMessage } from './stored-message.js';
