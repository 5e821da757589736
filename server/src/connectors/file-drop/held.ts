import { EgressFailure } from "../../platform/egress/egress.ts";

/** A session that is kept open between uses, and opened anew when it was lost meanwhile. */
export interface Held<Session> {
  /** The open session. @throws what opening throws */
  session(): Promise<Session>;
  close(): Promise<void>;
}

interface Open<Session> {
  session: Session;
  isOver: boolean;
  end(): void;
  over: Promise<unknown>;
}

/**
 * Holds a session that lasts for a call of `open`. The engine may need minutes to store what a file holds, longer than
 * some servers leave a session alone.
 */
export function held<Session>(
  open: (work: (session: Session) => Promise<void>) => Promise<unknown>,
  isAlive: (session: Session) => boolean,
): Held<Session> {
  let current: Open<Session> | undefined;
  const begin = () =>
    new Promise<Open<Session>>((resolve, reject) => {
      const { promise: released, resolve: end } = Promise.withResolvers<void>();
      let mine: Open<Session> | undefined;
      const over = open(async (session) => {
        mine = { session, isOver: false, end, over };
        resolve(mine);
        await released;
      });
      over.then(
        () => reject(new EgressFailure("no_connection", { inner: "the session ended before it began" })),
        reject,
      );
      const settle = () => {
        if (mine !== undefined) mine.isOver = true;
      };
      over.then(settle, settle);
    });
  const close = async () => {
    current?.end();
    await current?.over.catch(() => undefined);
    current = undefined;
  };
  return {
    async session() {
      if (current !== undefined && !current.isOver && isAlive(current.session)) return current.session;
      await close();
      current = await begin();
      return current.session;
    },
    close,
  };
}
