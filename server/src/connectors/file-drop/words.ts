/** Names of settings of every kind of server. */
export const serverWords = {
  host: { en: "Server", sv: "Server" },
  port: { en: "Port", sv: "Port" },
  username: { en: "User name", sv: "Användarnamn" },
  password: { en: "Password", sv: "Lösenord" },
  path: { en: "Folder", sv: "Mapp" },
  pathHint: {
    en: "Where the files lie; where the login leads when it is left out. Folders in it are not looked into.",
    sv: "Där filerna ligger; dit inloggningen leder när den utelämnas. Mappar i den genomsöks inte.",
  },
} as const;
