/** A mail in plain text. */
export interface Mail {
  from: string;
  to: readonly string[];
  subject: string;
  text: string;
}

const timeoutMs = 30_000;

/**
 * Sends a mail through the operator's mail server, `smtps://user:password@host:465`. Throws when the server does not
 * take it for anybody.
 */
export async function sendMail(url: string, mail: Mail): Promise<void> {
  // Loaded when it is needed: most servers never send one.
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    url,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({ ...mail, to: [...mail.to] });
  } finally {
    transport.close();
  }
}
