import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressList, canonicalHost, isPublicAddress } from "./address.ts";
import { refusedAddresses, spellings } from "./harness.ts";

describe("addresses", () => {
  test.each(refusedAddresses)("%s is no public address", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each([
    ...["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "192.167.255.255", "100.63.255.255"],
    ...["100.128.0.0", "169.253.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "11.0.0.0"],
    ...["2001:4860:4860::8888", "2606:4700::1111", "2a00:1450:400f::200e", "2620:fe::fe", "2003::1"],
  ])("%s is a public address", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test("no form of IPv6 that carries an IPv4 address is public, whatever it carries", () => {
    const groups = fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(groups, ([high, low]) => {
        const ipv4 = `${high.toString(16)}:${low.toString(16)}`;
        const forms = [
          ...[`::ffff:${ipv4}`, `::${ipv4}`, `::ffff:0:${ipv4}`, `64:ff9b::${ipv4}`, `64:ff9b:1::${ipv4}`],
          ...[`2002:${ipv4}::1`, `2001:0:${ipv4}::1`, `2001::${ipv4}`, `2a00:1:2:3:0:5efe:${ipv4}`],
          ...[`2a00:1:2:3:200:5efe:${ipv4}`, `fe80::5efe:${ipv4}`],
        ];
        expect(forms.filter(isPublicAddress)).toEqual([]);
      }),
    );
  });

  test("a list holds single addresses and ranges of both families, and nothing beside them", () => {
    const has = addressList(["10.0.0.0/8", "192.168.7.9", "fd00::/8", "::1"]);
    expect(["10.255.0.1", "192.168.7.9", "fdab::1", "::1"].filter(has)).toHaveLength(4);
    const others = [
      "11.0.0.1",
      "192.168.7.8",
      "fc00::1",
      "::2",
      "::ffff:10.0.0.1",
      "::ffff:a00:1",
      "fd00::1%lo",
    ];
    expect([...others, "example.com", ""].filter(has)).toEqual([]);
    expect(addressList([])("127.0.0.1")).toBe(false);
  });

  test.each(spellings)("%s means 127.0.0.1", (spelling) => {
    expect(canonicalHost(spelling)).toBe("127.0.0.1");
  });

  test.each([
    ["Example.COM", "example.com"],
    ["example.com.", "example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["[2001:DB8::1]", "2001:db8::1"],
    ["2001:db8::1", "2001:db8::1"],
    ["file_server", "file_server"],
  ])("the host %s is looked up as %s", (host, canonical) => {
    expect(canonicalHost(host)).toBe(canonical);
  });

  test.each([
    ...["", " ", "a b", "a/b", "a\\b", "a?b", "a#b", "user@host", "host:80", "a%2eb", "a\r\nb", "a\0b"],
    ...[
      "fe80::1%lo",
      "[::1",
      "::1]",
      "[::1]:80",
      "unix:/run/x.sock",
      "http://x",
      `${"a".repeat(260)}.example`,
    ],
  ])("%j is no host", (host) => {
    expect(() => canonicalHost(host)).toThrow("name of the host was not found");
  });
});
