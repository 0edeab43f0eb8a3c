/**
 * A gateway's code in an address: `https://…/pne/#CPNS:CODE`. In the fragment, which no browser sends to a server, and gone
 * from the address before anything else runs. Owns where the code is in a text; whether it is one, security/ decides.
 */

/** What of a scanned or pasted text is the code: the text itself, or the fragment of an address. */
export function codeTextOf(text: string): string {
  const trimmed = text.trim();
  if (!/^https?:/i.test(trimmed)) return trimmed;
  const at = trimmed.indexOf('#');
  return at < 0 ? '' : decoded(trimmed.slice(at + 1));
}

/** The code in the page's own address, which is cleaned at once; undefined when there is none. */
export function takeCodeFromAddress(location: Location, history: History): string | undefined {
  const { hash, pathname } = location;
  if (hash.length < 2) return undefined;
  history.replaceState(history.state, '', pathname);
  return decoded(hash.slice(1));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
