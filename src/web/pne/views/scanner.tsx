/** The camera's picture while a code is looked for. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { scan } from '../scanner.ts';

export function Scanner({
  onText,
  onClose,
}: {
  readonly onText: (text: string) => void;
  readonly onClose: () => void;
}) {
  const video = useRef<HTMLVideoElement>(null);
  const [fault, setFault] = useState(false);
  useEffect(() => {
    let end: (() => void) | undefined;
    let gone = false;
    if (video.current)
      scan(video.current, onText).then(
        (stop) => {
          end = stop;
          if (gone) stop();
        },
        () => setFault(true),
      );
    return () => {
      gone = true;
      end?.();
    };
  }, []);
  return (
    <>
      {fault ? (
        <p class="fault" role="alert">
          The camera can’t be used. Allow it for this page, or enter the code by hand.
        </p>
      ) : (
        <p role="status">Hold the code of your home gateway in front of the camera.</p>
      )}
      <video ref={video} class="camera" muted playsInline aria-label="Picture of the camera" />
      <button type="button" class="button button-wide" onClick={onClose}>
        Enter it by hand
      </button>
    </>
  );
}
