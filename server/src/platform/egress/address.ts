import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { EgressFailure } from "./failure.ts";

/** All that IPv6 gives to networks of the internet (RFC 4291); everything outside has another purpose. */
const globalUnicast = ipaddr.IPv6.parse("2000::");
/** Interface ids of ISATAP (RFC 5214), which carry an IPv4 address to tunnel to. */
const isatap = new Set(["0:5efe", "200:5efe"]);

/**
 * Is `address` one machine on the public internet? Private, shared, local, documentation and reserved ranges are not,
 * nor is any IPv6 form that stands for an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo, ISATAP).
 */
export function isPublicAddress(address: string): boolean {
  // A zone (`fe80::1%eth0`) names a network of this machine.
  if (isIP(address) === 0 || address.includes("%")) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast") return false;
  if (parsed instanceof ipaddr.IPv4) return true;
  const [, , , , high = 0, low = 0] = parsed.parts;
  return parsed.match(globalUnicast, 3) && !isatap.has(`${high.toString(16)}:${low.toString(16)}`);
}

/** Addresses and ranges (`10.0.0.0/8`, `fd00::/8`, `192.0.2.7`) as a question: is this address one of them? */
export function addressList(entries: readonly string[]): (address: string) => boolean {
  const ranges = entries.map((entry) => {
    if (entry.includes("/")) return ipaddr.parseCIDR(entry);
    const address = ipaddr.parse(entry);
    return [address, address.kind() === "ipv4" ? 32 : 128] as const;
  });
  return (text) => {
    if (isIP(text) === 0 || text.includes("%")) return false;
    const address = ipaddr.parse(text);
    return ranges.some(([range, bits]) => range.kind() === address.kind() && matches(address, range, bits));
  };
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

function matches(address: Address, range: Address, bits: number): boolean {
  return (address as ipaddr.IPv4).match(range as ipaddr.IPv4, bits);
}

/**
 * A host as typed to the one spelling that is looked up: lower case, unicode as punycode, and every way to write an
 * IPv4 address (`2130706433`, `0x7f.1`, `0177.0.0.1`, `①②⑦.0.0.1`) as four decimal numbers; IPv6 without brackets.
 * Throws an `EgressFailure` when it cannot be a host.
 */
export function canonicalHost(host: string): string {
  const bare = /^\[[0-9a-fA-F:.]+\]$/.test(host) ? host.slice(1, -1) : host;
  if (isIP(bare) === 6 && !bare.includes("%")) return bare.toLowerCase();
  // What would end the host in an address, or begin something else.
  const url = /[\s/\\?#@:%[\]<>^|\u0000-\u0020\u007f]/.test(bare) ? null : URL.parse(`http://${bare}/`);
  const name = url?.hostname.replace(/\.$/, "") ?? "";
  if (name === "" || name.length > 253) {
    throw new EgressFailure("name_not_found", { inner: `${JSON.stringify(host.slice(0, 300))} is no host` });
  }
  return name;
}
