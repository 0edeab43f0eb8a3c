/** How a defect of our own code is told to the log: where it was thrown, never what it held. */

/** The place in our code, from the stack; a message may quote a value. */
export function faultEvent(error: unknown) {
  const place =
    error instanceof Error ? error.stack?.split('\n').find((line) => line.includes(' at ')) : undefined;
  return {
    kind: 'problem',
    what: `defect${place?.replace(/^\s*at/, ' at') ?? ''}`,
    status: 'internal',
  } as const;
}
