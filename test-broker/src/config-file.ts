import { readFileSync } from 'node:fs';
import { excerpt, quoted } from 'liftbridge-client/protocol';
import { type Document, parseDocument } from 'yaml';
import { BrokerOptionError } from './option-error.js';
import { dottedSettings } from './settings.js';

/**
 * The settings in a configuration file of the server, with dotted names. The file is YAML, which includes JSON. Throws
 * BrokerOptionError for a file that cannot be read or holds anything else.
 */
export function readConfigFile(path: string): Record<string, unknown> {
  const text = readText(path);
  const document = parseDocument(text, { schema: 'core', prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) throw unusable(path, 'the file is neither YAML nor JSON:', error);
  const settings = content(path, document);
  // A file without a setting, or with nothing but comments, is empty.
  return settings === null ? {} : dottedSettings(settings as Record<string, unknown>);
}

/** The content of the document. The parser refuses a document with too many aliases. */
function content(path: string, document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw unusable(path, 'cannot read', error);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw unusable(path, 'cannot read', error);
  }
}

function unusable(path: string, what: string, error: unknown): BrokerOptionError {
  const reason = error instanceof Error ? excerpt(error.message.split('\n')[0]!).replace(/:$/, '') : String(error);
  return new BrokerOptionError('--config', path, `--config ${quoted(path)}: ${what} ${reason}`, {
    cause: error,
  });
}
