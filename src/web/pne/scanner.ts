/**
 * Reads a QR code with the camera where the browser can do it by itself (Shape Detection: BarcodeDetector). Owns camera and
 * timer, and gives both back. Must not know what is in a code.
 */

interface Detector {
  detect(source: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>;
}

type DetectorClass = new (options: { readonly formats: readonly string[] }) => Detector;

const LOOK_EVERY_MS = 250;

function detectorClass(): DetectorClass | undefined {
  return (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;
}

export function canScan(): boolean {
  return detectorClass() !== undefined && navigator.mediaDevices?.getUserMedia !== undefined;
}

/**
 * Shows the camera in `video` and tells each text that is found.
 * @returns what ends it
 * @throws DOMException when there is no camera or it may not be used
 */
export async function scan(video: HTMLVideoElement, onText: (text: string) => void): Promise<() => void> {
  const Detector = detectorClass();
  if (!Detector) throw new DOMException('no BarcodeDetector', 'NotSupportedError');
  const detector = new Detector({ formats: ['qr_code'] });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  video.srcObject = stream;
  await video.play();
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    detector
      .detect(video)
      .then((found) => {
        for (const { rawValue } of found) onText(rawValue);
      })
      .catch(() => {})
      .finally(() => {
        looking = false;
      });
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
}
