/**
 * What this device says of itself: filled in from what the browser knows, changed and added to by its user, encoded for
 * step 2 and the enrolment. Owns the settings' shape and bounds; must not know where they are kept.
 * Only what is shown to the user is told to anybody.
 */
import type { Bytes } from '../../base/bytes.ts';
import { type CborKey, type CborValue, encodeCbor } from '../../messages/cbor.ts';
import { LIMITS } from '../../messages/common.ts';
import { isLabel, utf8Length } from '../../messages/label.ts';
import type { DeviceFacts } from './node.ts';
import { type BrowserFacts, platformOf } from './platform.ts';

export const DEVICE_CLASSES = [
  'phone',
  'tablet',
  'computer',
  'watch',
  'headset',
  'display',
  'other',
] as const;
export type DeviceClass = (typeof DEVICE_CLASSES)[number];

/** Bounds of Content in src/messages/common.ts. */
const CONTENT_NAME_BYTES = 32;
const MEDIA_TYPE_BYTES = 24;
export const MAX_CONTENTS = 16;

export interface OfferedContent {
  readonly name: string;
  readonly mediaType: string;
}

export interface Settings {
  /** Shown to others as the label of this device. */
  readonly name: string;
  readonly deviceClass: DeviceClass;
  /** Whether the platform and the size of the screen are told, too. */
  readonly tellsBrowserFacts: boolean;
  readonly contents: readonly OfferedContent[];
}

/** What the browser knows, as it would be told. */
export interface KnownFacts {
  readonly platform: string;
  readonly screen: string;
}

export interface ScreenFacts extends BrowserFacts {
  readonly width: number;
  readonly height: number;
}

export function knownFacts(facts: ScreenFacts): KnownFacts {
  return { platform: platformOf(facts), screen: `${facts.width}×${facts.height}` };
}

export function defaultSettings(facts: ScreenFacts): Settings {
  const platform = platformOf(facts);
  const isHandheld = platform === 'android' || platform === 'ios';
  const isTablet = isHandheld && Math.min(facts.width, facts.height) >= 600;
  const deviceClass = !isHandheld ? 'computer' : isTablet ? 'tablet' : 'phone';
  return { name: '', deviceClass, tellsBrowserFacts: true, contents: [] };
}

/** Leaves out what breaks the protocol's bounds. */
export function deviceFacts(settings: Settings, known: KnownFacts): DeviceFacts {
  const { name } = settings;
  const contents = settings.contents.filter((content) => !contentFault(content)).slice(0, MAX_CONTENTS);
  return {
    capability: capabilityOf(settings, known),
    contents,
    pneId: name === '' || nameFault(name) ? undefined : name,
  };
}

function capabilityOf({ deviceClass, tellsBrowserFacts }: Settings, known: KnownFacts): Bytes {
  const entries: [CborKey, CborValue][] = [['class', deviceClass]];
  if (tellsBrowserFacts) entries.push(['platform', known.platform], ['screen', known.screen]);
  return encodeCbor(new Map(entries));
}

/** Why a name can't be used, in words for its user; undefined when it can. */
export function nameFault(name: string): string | undefined {
  return name === '' ? undefined : labelFault(name, LIMITS.pneId);
}

export function contentFault({ name, mediaType }: OfferedContent): string | undefined {
  if (labelFault(name, CONTENT_NAME_BYTES)) return labelFault(name, CONTENT_NAME_BYTES);
  return labelFault(mediaType, MEDIA_TYPE_BYTES) && 'The kind is too long or has signs that are not allowed.';
}

function labelFault(text: string, maxBytes: number): string | undefined {
  if (text === '') return 'A name is needed.';
  if (utf8Length(text) > maxBytes)
    return `Too long: at most ${maxBytes} letters, fewer with accents or other scripts.`;
  return isLabel(text, maxBytes) ? undefined : 'It has signs that are not allowed in a name.';
}

/** As a label has to be written, whatever the keyboard made of it. */
export function tidied(text: string): string {
  return text.normalize('NFC').trim();
}
