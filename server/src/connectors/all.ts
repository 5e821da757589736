import type { Connector } from "../collection/connector.ts";
import { datadis } from "./datadis/connector.ts";
import { demoBrowser } from "./demo-browser/connector.ts";
import { demoHttp } from "./demo-http/connector.ts";
import { eloverblik } from "./eloverblik/connector.ts";
import { elvia } from "./elvia/connector.ts";
import { fileDropFtp } from "./file-drop-ftp/connector.ts";
import { fileDropMail } from "./file-drop-mail/connector.ts";
import { fileDropS3 } from "./file-drop-s3/connector.ts";
import { fileDropSftp } from "./file-drop-sftp/connector.ts";
import { greenButtonCmd } from "./green-button-cmd/connector.ts";
import { n3rgy } from "./n3rgy/connector.ts";
import { octopus } from "./octopus/connector.ts";
import { openMeteo } from "./open-meteo/connector.ts";

/** Every provider that Metertree can ask. A new one is a folder and a line here. */
export const connectors: readonly Connector[] = [
  demoHttp,
  demoBrowser,
  eloverblik,
  elvia,
  octopus,
  n3rgy,
  datadis,
  greenButtonCmd,
  openMeteo,
  fileDropFtp,
  fileDropSftp,
  fileDropS3,
  fileDropMail,
];
