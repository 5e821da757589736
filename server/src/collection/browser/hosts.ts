/** Says whether a browser may go to a host and port. */
export type HostRule = (host: string, port: number) => boolean;

/**
 * A rule of the hosts that a connector names: `example.com` for ports 80 and 443, `example.com:8443` for that one,
 * `*.example.com` for all below it.
 */
export function hostRule(hosts: readonly string[]): HostRule {
  const rules = hosts.map((host) => {
    const [, named = "", port] = /^(\[.*\]|.*?)(?::(\d+))?$/.exec(host.toLowerCase())!;
    const name = named.replace(/^\[|\]$/g, "");
    return { name, ports: port === undefined ? [80, 443] : [Number(port)] };
  });
  return (host, port) =>
    rules.some(({ name, ports }) => {
      const isHost = name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name;
      return isHost && ports.includes(port);
    });
}

/** May the browser show this address? */
export function allowsAddress(rule: HostRule, address: URL): boolean {
  // What a script has made (`blob:`) is its page's.
  const { hostname, port, protocol } = URL.parse(address.origin) ?? address;
  const host = hostname.replace(/^\[|\]$/g, "");
  return /^https?:$/.test(protocol) && rule(host, Number(port) || (protocol === "https:" ? 443 : 80));
}
