import { createServer, type Socket } from "node:net";

/** Ways to write 127.0.0.1 that resolvers, browsers and C libraries understand. */
export const spellings: readonly string[] = [
  ...["127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F000001", "017700000001"],
  ...["0177.0.0.1", "0177.0.0.01", "0x7f.1", "0x7f.0x0.0x0.0x1", "0x7f.0.0.1", "127.0x0.0.1"],
  ...[
    "00000177.0.0.1",
    "127.0.0.1.",
    "①②⑦.⓪.⓪.①",
    "１２７.０.０.１",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
  ],
  ...["𝟏𝟐𝟕.𝟎.𝟎.𝟏", "127.0.0.0x1", "0x7f.0.1", "0177.1"],
];

/** Addresses that no tenant reaches: first, last and middle of every range with another purpose than the internet. */
export const refusedAddresses: readonly string[] = [
  // This network, private, shared, loopback, link-local with the addresses of cloud metadata.
  ...["0.0.0.0", "0.0.0.1", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255", "10.96.0.1"],
  ...["100.64.0.0", "100.100.100.200", "100.127.255.255", "127.0.0.0", "127.0.0.1", "127.0.0.53"],
  ...["127.1.2.3", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.169.123", "169.254.170.2"],
  ...["169.254.255.255", "172.16.0.0", "172.17.0.1", "172.31.255.255", "192.168.0.0", "192.168.1.1"],
  "192.168.255.255",
  // Protocol assignments, documentation, relays, benchmarks, AS112, AMT.
  ...["192.0.0.0", "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.0.255", "192.0.2.0"],
  ...[
    "192.0.2.1",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.1",
    "192.88.99.255",
    "198.18.0.0",
    "198.19.255.255",
  ],
  ...["198.51.100.0", "198.51.100.7", "198.51.100.255", "203.0.113.0", "203.0.113.9", "203.0.113.255"],
  ...["192.31.196.1", "192.52.193.1", "192.175.48.1"],
  // Multicast, reserved, broadcast.
  ...["224.0.0.0", "224.0.0.1", "224.0.0.251", "232.1.1.1", "239.255.255.250", "239.255.255.255"],
  ...["240.0.0.0", "240.0.0.1", "250.1.2.3", "255.255.255.254", "255.255.255.255"],
  // IPv6: unspecified, loopback, link-local, site-local, unique local, multicast.
  ...["::", "::1", "0:0:0:0:0:0:0:1", "::2", "fe80::", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fe80::1%lo"],
  ...["fe80::1%1", "::1%lo", "fec0::1", "feff::1", "fc00::", "fc00::1", "fd00::1", "fd00:ec2::254"],
  ...[
    "fd12:3456:789a::1",
    "fdff:ffff::1",
    "ff00::",
    "ff01::1",
    "ff02::1",
    "ff02::fb",
    "ff05::1:3",
    "ff0e::1",
  ],
  // Mapped, compatible and translated IPv4, in every notation.
  ...[
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::FFFF:127.0.0.1",
    "0:0:0:0:0:ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
  ],
  ...["::ffff:10.0.0.1", "::ffff:a00:1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:192.168.1.1"],
  ...[
    "::ffff:0.0.0.0",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::7f00:1",
    "::10.0.0.1",
    "::a9fe:a9fe",
    "::8.8.8.8",
  ],
  ...["::ffff:0:7f00:1", "::ffff:0:a9fe:a9fe", "::ffff:0:8.8.8.8"],
  // NAT64, well-known and local prefix.
  ...["64:ff9b::", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe"],
  ...[
    "64:ff9b::c0a8:101",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::",
    "64:ff9b:1::127.0.0.1",
    "64:ff9b:1:fffe::a00:1",
  ],
  // 6to4, Teredo, ISATAP.
  ...["2002::", "2002:7f00:1::", "2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:c0a8:101::1"],
  ...[
    "2002:808:808::1",
    "2001::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:0:7f00:1::1",
    "2001::7f00:1",
  ],
  ...[
    "2001:0:a9fe:a9fe::1",
    "2a00:1450::5efe:7f00:1",
    "2a00:1450::200:5efe:10.0.0.1",
    "fe80::5efe:127.0.0.1",
  ],
  // Discard, benchmarks, ORCHID, documentation, drone tags, segment routing, AMT, AS112, reserved.
  ...["100::", "100::1", "100:0:0:1::1", "2001:2::", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1"],
  ...["2001:1f:ffff::1", "2001:20::1", "2001:2f:ffff::1", "2001:30::1", "2001:db8::", "2001:db8::1"],
  ...[
    "2001:db8:ffff:ffff::1",
    "3fff::1",
    "3fff:fff::1",
    "2620:4f:8000::1",
    "5f00::1",
    "2001:1::1",
    "2001:1ff::1",
  ],
  // Outside what is given to networks.
  ...["1::1", "200::1", "400::1", "800::1", "1000::1", "1fff:ffff::1", "4000::1", "6000::1", "8000::1"],
  ...["a000::1", "c000::1", "e000::1", "f000::1", "f800::1", "fe00::1", "fe7f::1"],
];

/** A server on an address of this machine that counts who came. */
export interface Listener {
  port: number;
  /** Connections so far. */
  count(): number;
  close(): Promise<void>;
}

/** Listens on `host`; each connection is given to `talk`. */
export async function listener(
  host: string,
  { port = 0, talk }: { port?: number; talk?: (socket: Socket) => void } = {},
): Promise<Listener> {
  let count = 0;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    count++;
    open.add(socket);
    socket.on("error", () => undefined).on("close", () => open.delete(socket));
    talk?.(socket);
  });
  await new Promise<void>((resolve, reject) => server.on("error", reject).listen(port, host, resolve));
  return {
    port: (server.address() as { port: number }).port,
    count: () => count,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
