import { createServer, type Server, type Socket } from "node:net";
import { login } from "./ftp.ts";

export interface ScriptedFtp {
  port: number;
  /** Commands as they came, of all connections. */
  commands: string[];
  /** Whole files by path. */
  files: Map<string, Buffer>;
  close(): Promise<void>;
}

export interface FtpFaults {
  /** Replies by verb instead of what the server would do; a function is asked each time, `undefined` is no fault. */
  replies?: Readonly<Record<string, string | ((argument: string, times: number) => string | undefined)>>;
  /** What replies to EPSV and PASV name instead of the address and port of the server; `port` is the real one. */
  passive?: (port: number) => string;
  /** Ends the data connection after so many bytes and says that all is well. */
  cutAfter?: number;
  /** Ends both connections in the middle of a file. */
  dropAfter?: number;
  /** Reads nothing of a file. */
  mute?: boolean;
  noEpsv?: boolean;
  /** Renaming onto a file that is there is refused. */
  noReplace?: boolean;
}

/** A small FTP server that fails as it is told. */
export async function scriptedFtp(faults: FtpFaults = {}): Promise<ScriptedFtp> {
  const commands: string[] = [];
  const files = new Map<string, Buffer>();
  const open = new Set<Socket | Server>();
  const server = createServer((socket) => {
    open.add(socket);
    new Session(socket, { faults, files, commands, open }).start();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    commands,
    files,
    async close() {
      for (const each of open) "destroy" in each ? each.destroy() : each.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface State {
  faults: FtpFaults;
  files: Map<string, Buffer>;
  commands: string[];
  open: Set<Socket | Server>;
}

class Session {
  private readonly socket: Socket;
  private readonly state: State;
  private readonly times = new Map<string, number>();
  private data: Promise<Socket> | undefined;
  private from = "";

  constructor(socket: Socket, state: State) {
    this.socket = socket;
    this.state = state;
  }

  start(): void {
    let text = "";
    this.socket.on("error", () => undefined);
    this.socket.on("data", (chunk) => {
      text += chunk.toString("utf8");
      const lines = text.split("\r\n");
      text = lines.pop() ?? "";
      for (const line of lines) this.obey(line);
    });
    this.say(this.fault("CONNECT", "") ?? "220 ready");
  }

  private say(reply: string): void {
    this.socket.write(`${reply}\r\n`);
  }

  private fault(verb: string, argument: string): string | undefined {
    const times = this.times.get(verb) ?? 0;
    this.times.set(verb, times + 1);
    const reply = this.state.faults.replies?.[verb];
    return typeof reply === "function" ? reply(argument, times) : reply;
  }

  private obey(line: string): void {
    this.state.commands.push(line);
    const at = line.indexOf(" ");
    const [verb, argument] = at === -1 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
    const reply = this.fault(verb, argument) ?? this.reply(verb, argument);
    if (reply !== undefined) this.say(reply);
  }

  private reply(verb: string, argument: string): string | undefined {
    const { files, faults } = this.state;
    switch (verb) {
      case "USER":
        return "331 go on";
      case "PASS":
        return argument === login.password ? "230 in" : "530 Login incorrect";
      case "FEAT":
        return "502 no";
      case "TYPE":
      case "STRU":
      case "OPTS":
      case "MKD":
        return "200 ok";
      case "EPSV":
      case "PASV":
        return faults.noEpsv === true && verb === "EPSV" ? "500 unknown" : this.listen(verb);
      case "STOR":
        void this.store(argument);
        return undefined;
      case "SIZE":
        return files.has(argument) ? `213 ${files.get(argument)!.length}` : "550 no such file";
      case "DELE":
        return files.delete(argument) ? "250 gone" : "550 no such file";
      case "RNFR":
        this.from = argument;
        return files.has(argument) ? "350 go on" : "550 no such file";
      case "RNTO":
        return this.rename(argument);
      default:
        return verb === "QUIT" ? "221 bye" : "502 no";
    }
  }

  private rename(to: string): string {
    const { files, faults } = this.state;
    if (faults.noReplace === true && files.has(to)) return "553 File exists";
    files.set(to, files.get(this.from)!);
    files.delete(this.from);
    return "250 renamed";
  }

  private listen(verb: string): undefined {
    const server = createServer();
    this.state.open.add(server);
    this.data = new Promise((resolve) => {
      server.once("connection", (socket) => {
        this.state.open.add(socket);
        server.close();
        resolve(socket);
      });
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      const named = this.state.faults.passive?.(port);
      const usual = verb === "EPSV" ? `(|||${port}|)` : `(127,0,0,1,${port >> 8},${port & 255})`;
      this.say(`${verb === "EPSV" ? 229 : 227} Entering passive mode ${named ?? usual}`);
    });
  }

  private async store(name: string): Promise<void> {
    const { faults, files } = this.state;
    this.say("150 go on");
    const socket = await this.data!;
    socket.on("error", () => undefined);
    if (faults.mute === true) return void socket.pause();
    const chunks: Buffer[] = [];
    let bytes = 0;
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (faults.dropAfter !== undefined && bytes >= faults.dropAfter) {
        files.set(name, Buffer.concat(chunks));
        socket.destroy();
        this.socket.destroy();
      } else if (faults.cutAfter !== undefined && bytes >= faults.cutAfter) {
        socket.destroy();
      }
    });
    socket.on("close", () => {
      files.set(name, Buffer.concat(chunks).subarray(0, faults.cutAfter));
      this.say("226 stored");
    });
  }
}
