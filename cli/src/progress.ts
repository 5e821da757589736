import { SingleBar } from "cli-progress";

/** How far a piece of work is. */
export interface Step {
  /** What is being done, in one word. */
  phase: string;
  done: number;
  total: number;
}

export interface Progress {
  show(step: Step): void;
  close(): void;
}

/** A bar on a terminal; shows nothing where there is none. */
export function openProgress(stream: NodeJS.WriteStream | undefined): Progress {
  if (stream?.isTTY !== true) return { show: () => undefined, close: () => undefined };
  const bar = new SingleBar({
    stream,
    format: "{phase} {bar} {percentage}% {value}/{total}",
    clearOnComplete: true,
    hideCursor: true,
    barCompleteChar: "█",
    barIncompleteChar: "░",
  });
  let started = false;
  return {
    show({ phase, done, total }) {
      const word = phase.padEnd(9);
      if (!started) bar.start(Math.max(1, total), done, { phase: word });
      started = true;
      bar.setTotal(Math.max(1, total));
      bar.update(done, { phase: word });
    },
    close() {
      if (started) bar.stop();
    },
  };
}
