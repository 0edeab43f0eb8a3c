export async function traceFile(_file: string | undefined, _options: object): Promise<void> {}
