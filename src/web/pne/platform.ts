/**
 * Whether this browser can do it, and what works on this platform when it can't. Pure: made from what the browser says of
 * itself. States only what browsers document; nothing here was tried on a phone.
 */

export interface BrowserFacts {
  readonly userAgent: string;
  readonly isSecure: boolean;
  readonly hasBluetooth: boolean;
  /** An iPad says that it is a Mac; its screen gives it away. */
  readonly touchPoints: number;
}

export type Platform = 'ios' | 'android' | 'linux' | 'windows' | 'macos' | 'chromeos' | 'other';

export interface Unsupported {
  readonly says: string;
  readonly next: readonly string[];
}

export function platformOf({ userAgent, touchPoints }: BrowserFacts): Platform {
  if (/iPhone|iPad|iPod/.test(userAgent)) return 'ios';
  if (/Macintosh/.test(userAgent)) return touchPoints > 1 ? 'ios' : 'macos';
  if (/Android/.test(userAgent)) return 'android';
  if (/CrOS/.test(userAgent)) return 'chromeos';
  if (/Windows/.test(userAgent)) return 'windows';
  return /Linux|X11/.test(userAgent) ? 'linux' : 'other';
}

/** What to tell somebody whose browser can't; undefined when it can. */
export function unsupported(facts: BrowserFacts): Unsupported | undefined {
  if (facts.hasBluetooth) return undefined;
  if (!facts.isSecure)
    return {
      says: 'This page did not come over a secure connection, so the browser keeps Bluetooth from it.',
      next: ['Open it with https:// in front, or have your gateway show its QR code again.'],
    };
  return { says: 'This browser has no Web Bluetooth.', next: WORKS_ON[platformOf(facts)] };
}

const WORKS_ON: Readonly<Record<Platform, readonly string[]>> = {
  ios: [
    'On iPhone and iPad no browser of Apple’s has Web Bluetooth.',
    'The apps Bluefy and WebBLE bring it: open this same address in one of them.',
  ],
  android: ['Open this page in Chrome, Edge, Samsung Internet or Opera; Firefox has no Web Bluetooth.'],
  linux: [
    'Open this page in Chromium, Chrome or Edge; Firefox has no Web Bluetooth.',
    'There it may be switched off: chrome://flags/#enable-web-bluetooth, or start it with --enable-features=WebBluetooth.',
    'Or use the program: cpns pne run.',
  ],
  windows: ['Open this page in Edge, Chrome or Opera; Firefox has no Web Bluetooth.'],
  macos: ['Open this page in Chrome, Edge or Opera; Safari and Firefox have no Web Bluetooth.'],
  chromeos: ['Bring the browser up to date: Chrome on ChromeOS has Web Bluetooth.'],
  other: ['Open this page in Chrome, Edge or Opera on Android, ChromeOS, Windows, macOS or Linux.'],
};
