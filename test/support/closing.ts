/** Something that a test opens and has to close. */
export interface Closable {
  close(): unknown;
}

const ofTest: Closable[] = [];
const ofFile: Closable[] = [];

export const closeOpenedByTest = (): Promise<void> => closeAll(ofTest);
export const closeOpenedByFile = (): Promise<void> => closeAll(ofFile);

/** Closes in reverse order. A failure to close one does not prevent closing the others. */
async function closeAll(opened: Closable[]): Promise<void> {
  const failures: unknown[] = [];
  for (const each of opened.splice(0).reverse()) {
    try {
      await each.close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'teardown failed');
}

/** Closes something when the test ends, also when it fails. */
export function closing<T extends Closable>(opened: T): T {
  ofTest.push(opened);
  return opened;
}

/** Closes something after the last test of the file. */
export function closingWithFile<T extends Closable>(opened: T): T {
  ofFile.push(opened);
  return opened;
}
